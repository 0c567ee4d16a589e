// Timers that keep their pace. Pure.
#pragma once

#include "schema/base/time.h"

namespace dyncast::agent {

// The next point of a timer's grid after `now`; missed ones are left out, not made up for.
inline MonoTime NextOnGrid(MonoTime due, Micros period, MonoTime now) {
  if (due > now) return due;
  return due + ((now - due) / period + 1) * period;
}

}  // namespace dyncast::agent
