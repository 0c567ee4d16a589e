// The control thread's poll loop (OVS's poll-loop), for those who may not include OVS headers.
// One thread only. Each call registers interest for the next Block(); they do not last.
#pragma once

#include "schema/base/time.h"

namespace dyncast::openflow {

// Prepares libopenvswitch for use inside a threaded C++ program. Call once in main, before any thread:
// name, no own log file, SIGPIPE ignored. Signal handling of the program's own must be installed before.
void InitLibrary(const char* program);

void WaitReadable(int fd);
void WakeAt(MonoTime when);
void WakeNow();
// Sleeps until one of the things waited for has happened.
void Block();

}  // namespace dyncast::openflow
