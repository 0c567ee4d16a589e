// What the fake NVML library says, and a way to let it hang.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace dyncast::agent {

class FakeNvmlState {
 public:
  FakeNvmlState() {
    char folder[] = "/tmp/dyncast-nvml-XXXXXX";
    folder_ = mkdtemp(folder);
    setenv("FAKE_NVML_STATE", (folder_ + "/state").c_str(), 1);
    mkfifo(fifo().c_str(), 0600);
  }
  ~FakeNvmlState() {
    Release();
    for (const char* name : {"/state", "/next", "/fifo"}) unlink((folder_ + name).c_str());
    rmdir(folder_.c_str());
  }
  std::string fifo() const { return folder_ + "/fifo"; }
  void Say(const std::string& text) {
    std::ofstream(folder_ + "/next") << text;
    ASSERT_EQ(rename((folder_ + "/next").c_str(), (folder_ + "/state").c_str()), 0);
  }
  void Hang() { Say("hang " + fifo() + "\n"); }
  // Whoever hangs goes on, and finds this.
  void Release(const std::string& text = "") {
    Say(text);
    const int fd = open(fifo().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) close(fd);
  }

 private:
  std::string folder_;
};

}  // namespace dyncast::agent
