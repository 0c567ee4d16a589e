// A VFS for tests that can refuse to write: registered as SQLite's default, it hands everything to the
// system's own, but for writes and syncs while a fault is set.
#pragma once

namespace dyncast::store_test {

enum class Fault { kNone, kDiskFull, kWriteError, kSyncError };

// Registers the VFS once; every database opened afterwards goes through it.
void InstallFaultVfs();
void SetFault(Fault fault);

}  // namespace dyncast::store_test
