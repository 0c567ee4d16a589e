#include "tests/unit/store/fault_vfs.h"

#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <new>

namespace dyncast::store_test {
namespace {

std::atomic<Fault> g_fault{Fault::kNone};
sqlite3_vfs* g_system = nullptr;

// Our file, with the system's file behind it.
struct FaultFile {
  sqlite3_file base;
  sqlite3_file* real;
};

constexpr int kHeader = (static_cast<int>(sizeof(FaultFile)) + 15) / 16 * 16;

sqlite3_file* Real(sqlite3_file* f) { return reinterpret_cast<FaultFile*>(f)->real; }

int Close(sqlite3_file* f) { return Real(f)->pMethods->xClose(Real(f)); }
int Read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  return Real(f)->pMethods->xRead(Real(f), to, n, at);
}
int Write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  switch (g_fault.load()) {
    case Fault::kDiskFull: return SQLITE_FULL;
    case Fault::kWriteError: return SQLITE_IOERR_WRITE;
    default: return Real(f)->pMethods->xWrite(Real(f), from, n, at);
  }
}
int Truncate(sqlite3_file* f, sqlite3_int64 n) { return Real(f)->pMethods->xTruncate(Real(f), n); }
int Sync(sqlite3_file* f, int flags) {
  if (g_fault.load() == Fault::kSyncError) return SQLITE_IOERR_FSYNC;
  return Real(f)->pMethods->xSync(Real(f), flags);
}
int FileSize(sqlite3_file* f, sqlite3_int64* n) { return Real(f)->pMethods->xFileSize(Real(f), n); }
int Lock(sqlite3_file* f, int level) { return Real(f)->pMethods->xLock(Real(f), level); }
int Unlock(sqlite3_file* f, int level) { return Real(f)->pMethods->xUnlock(Real(f), level); }
int CheckReserved(sqlite3_file* f, int* out) { return Real(f)->pMethods->xCheckReservedLock(Real(f), out); }
int FileControl(sqlite3_file* f, int op, void* arg) {
  return Real(f)->pMethods->xFileControl(Real(f), op, arg);
}
int SectorSize(sqlite3_file* f) { return Real(f)->pMethods->xSectorSize(Real(f)); }
int Characteristics(sqlite3_file* f) { return Real(f)->pMethods->xDeviceCharacteristics(Real(f)); }
int ShmMap(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
  return Real(f)->pMethods->xShmMap(Real(f), page, size, extend, out);
}
int ShmLock(sqlite3_file* f, int offset, int n, int flags) {
  return Real(f)->pMethods->xShmLock(Real(f), offset, n, flags);
}
void ShmBarrier(sqlite3_file* f) { Real(f)->pMethods->xShmBarrier(Real(f)); }
int ShmUnmap(sqlite3_file* f, int remove) { return Real(f)->pMethods->xShmUnmap(Real(f), remove); }

const sqlite3_io_methods kMethods = {
    2,        Close,         Read,        Write,      Truncate,        Sync,   FileSize, Lock,
    Unlock,   CheckReserved, FileControl, SectorSize, Characteristics, ShmMap, ShmLock,  ShmBarrier,
    ShmUnmap, nullptr,       nullptr};

int Open(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  FaultFile* ours = new (f) FaultFile();
  ours->real = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(f) + kHeader);
  const int code = g_system->xOpen(g_system, name, ours->real, flags, out_flags);
  ours->base.pMethods = code == SQLITE_OK ? &kMethods : nullptr;
  return code;
}

}  // namespace

void InstallFaultVfs() {
  static sqlite3_vfs vfs;
  if (g_system != nullptr) return;
  g_system = sqlite3_vfs_find(nullptr);
  vfs = *g_system;
  vfs.zName = "dyncast-fault";
  vfs.szOsFile = kHeader + g_system->szOsFile;
  vfs.pNext = nullptr;
  vfs.xOpen = Open;
  sqlite3_vfs_register(&vfs, 1);
}

void SetFault(Fault fault) { g_fault = fault; }

}  // namespace dyncast::store_test
