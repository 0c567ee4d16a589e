#include "tests/ovs/ovsdb/servers.h"

#include <gtest/gtest.h>
#include <openvswitch/poll-loop.h>
#include <openvswitch/vlog.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "schema/base/time.h"

extern char** environ;

namespace dyncast::ovsdb {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);

}  // namespace

Servers::Servers() {
  vlog_set_levels(nullptr, VLF_ANY_DESTINATION, VLL_OFF);
  std::string pattern = std::filesystem::temp_directory_path() / "dyncast-ovsdb-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  dir_ = pattern;
}

Servers::~Servers() {
  Stop(&switch_);
  Stop(&database_);
  if (::testing::Test::HasFailure()) {
    std::fprintf(stderr, "logs are in %s\n", dir_.c_str());
  } else {
    std::filesystem::remove_all(dir_);
  }
}

std::string Servers::Run(const std::string& command) const {
  const std::string line = "OVS_RUNDIR=" + dir_ + " OVS_LOGDIR=" + dir_ + " " + command + " 2>&1";
  FILE* pipe = popen(line.c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk{};
  for (size_t n = 0; (n = fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) output.append(chunk.data(), n);
  const int code = pclose(pipe);
  EXPECT_EQ(code, 0) << command << "\n" << output;
  return output;
}

void Servers::CreateDatabase(const std::string& schema_json) {
  std::string schema = "/usr/share/openvswitch/vswitch.ovsschema";
  if (!schema_json.empty()) {
    schema = dir_ + "/schema";
    std::ofstream(schema) << schema_json;
  }
  Run("ovsdb-tool create " + dir_ + "/db " + schema);
}

pid_t Servers::Start(const std::vector<std::string>& command) const {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string rundir = "OVS_RUNDIR=" + dir_;
  const std::string logdir = "OVS_LOGDIR=" + dir_;
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(const_cast<char*>(rundir.c_str()));
  environment.push_back(const_cast<char*>(logdir.c_str()));
  environment.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environment.data());
  EXPECT_EQ(error, 0) << command[0];
  return pid;
}

void Servers::Stop(pid_t* pid) {
  if (*pid == 0) return;
  kill(*pid, SIGTERM);
  waitpid(*pid, nullptr, 0);
  *pid = 0;
}

void Servers::StartDatabase() {
  database_ = Start({"ovsdb-server", dir_ + "/db", "--remote=punix:" + dir_ + "/db.sock",
                     "--unixctl=" + dir_ + "/db.ctl", "-vconsole:off", "-vsyslog:off",
                     "--log-file=" + dir_ + "/ovsdb-server.log"});
  // Returns as soon as the server answers.
  Run("ovsdb-client --timeout=20 wait " + remote() + " Open_vSwitch connected");
}

void Servers::StopDatabase() { Stop(&database_); }

void Servers::StartSwitch() {
  Vsctl("init");
  switch_ = Start({"ovs-vswitchd", remote(), "--enable-dummy=override", "--disable-system",
                   "--unixctl=" + dir_ + "/switch.ctl", "-vconsole:off", "-vsyslog:off",
                   "--log-file=" + dir_ + "/ovs-vswitchd.log"});
}

std::string Servers::Vsctl(const std::string& arguments) const {
  return Run("ovs-vsctl --timeout=20 --no-wait --db=" + remote() + " " + arguments);
}

std::string Servers::Appctl(const std::string& arguments) const {
  return Run("ovs-appctl --timeout=20 --target=" + dir_ + "/switch.ctl " + arguments);
}

std::string Servers::Ofctl(const std::string& bridge, const std::string& command,
                           const std::string& rest) const {
  return Run("ovs-ofctl --timeout=20 -O OpenFlow15 " + command + " unix:" + dir_ + "/" + bridge + ".mgmt " +
             rest);
}

std::string Servers::Dump() const {
  std::string all;
  for (const char* table :
       {"Bridge name datapath_type fail_mode protocols ports controller other_config external_ids",
        "Port name interfaces external_ids", "Interface name type options external_ids",
        "Controller target connection_mode max_backoff inactivity_probe external_ids",
        "Datapath ct_zones external_ids", "CT_Zone timeout_policy external_ids",
        "CT_Timeout_Policy timeouts external_ids", "Flow_Table flow_limit overflow_policy external_ids"}) {
    all += Run("ovsdb-client --timeout=20 -f list dump " + remote() + " Open_vSwitch " + table);
  }
  return all;
}

bool Driver::Until(const std::function<bool()>& holds) {
  const MonoTime end = ReadClocks().mono + kPatience;
  for (;;) {
    Now now = ReadClocks();
    if (now.mono > end) return false;
    now.mono += ahead;
    manager.Run(now);
    if (holds()) return true;
    manager.Wait(now);
    poll_timer_wait(50);  // what is waited for may lie outside this process
    poll_block();
  }
}

BridgeStatus Driver::Only() const {
  const std::vector<BridgeStatus> statuses = manager.Statuses();
  return statuses.size() == 1 ? statuses[0] : BridgeStatus{};
}

bool Driver::UntilReady() {
  return Until([&] { return Only().state == "ready"; });
}

}  // namespace dyncast::ovsdb
