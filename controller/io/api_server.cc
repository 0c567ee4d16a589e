#include "controller/io/api_server.h"

#include <httplib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controller/io/api_json.h"
#include "controller/io/store_reader.h"
#include "controller/io/unix_socket.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

using api::Json;

// How long a request waits for the control thread or a switch before it is answered with 503.
constexpr std::chrono::seconds kAnswerTimeout{10};
constexpr size_t kMaxRows = 100000;

// httplib listens on TCP by itself; given a listening descriptor its loop serves a unix socket as well.
class UnixHttpServer : public httplib::Server {
 public:
  void UseListeningSocket(int fd) { svr_sock_ = fd; }
};

// One answer, awaited by a request's thread and given by the control thread, perhaps much later.
template <typename T>
class Answer {
 public:
  void Give(T value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    value_ = std::move(value);
    ready_.notify_all();
  }
  std::optional<T> Wait(std::chrono::milliseconds timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return value_.has_value(); });
    return std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<T> value_;  // guarded by mutex_
};

int HttpStatus(Errc code) {
  switch (code) {
    case Errc::kNotFound: return 404;
    case Errc::kUnavailable: return 503;
    case Errc::kConflict: return 409;
    case Errc::kIo:
    case Errc::kInternal: return 500;
    default: return 400;
  }
}

Result<uint64_t> NumberParam(const httplib::Request& request, const char* key, uint64_t fallback,
                             uint64_t most) {
  if (!request.has_param(key)) return fallback;
  const std::string text = request.get_param_value(key);
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value > most) {
    return MakeError(Errc::kInvalid, std::string(key) + "='" + text.substr(0, 64) +
                                         "' must be a whole number up to " + std::to_string(most));
  }
  return value;
}

// "10.0.0.1" or "10.0.0.1:4711".
Result<std::pair<IpAddress, uint16_t>> ParseClient(const std::string& text) {
  const size_t colon = text.find(':');
  const bool has_port = colon != std::string::npos && text.find(':', colon + 1) == std::string::npos;
  Result<IpAddress> address = IpAddress::Parse(has_port ? text.substr(0, colon) : text);
  if (!address.ok()) return address.error();
  unsigned port = 0;
  if (has_port) {
    const auto [end, code] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
    if (code != std::errc{} || end != text.data() + text.size() || port > 65535) {
      return MakeError(Errc::kInvalid, "'" + text.substr(0, 64) + "' has no port from 0 to 65535");
    }
  }
  return std::make_pair(*address, static_cast<uint16_t>(port));
}

}  // namespace

struct ApiServer::Impl {
  Options options;
  ControlLoop* loop = nullptr;
  BindingStore* store = nullptr;
  std::unique_ptr<StoreReader> reader;
  UnixHttpServer http;
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::atomic<bool> ended{false};  // the listening thread gave up or was stopped

  using Handler = std::function<Result<Json>(const httplib::Request&)>;

  // Runs `task` on the control thread and waits for what it gives.
  template <typename T>
  Result<T> Ask(std::function<void(std::shared_ptr<Answer<T>>)> task) {
    auto answer = std::make_shared<Answer<T>>();
    if (Status posted = loop->queue().Post([task, answer] { task(answer); }); !posted.ok()) {
      return posted.error();
    }
    const auto deadline = std::chrono::steady_clock::now() + kAnswerTimeout;
    while (std::chrono::steady_clock::now() < deadline && !stopping.load()) {
      if (std::optional<T> value = answer->Wait(std::chrono::milliseconds(100))) return std::move(*value);
    }
    return MakeError(Errc::kUnavailable, "the controller did not answer in time");
  }

  template <typename T>
  Result<T> AskNow(std::function<T()> read) {
    return Ask<T>([read](std::shared_ptr<Answer<T>> answer) { answer->Give(read()); });
  }

  Result<core::FabricView> View() {
    return AskNow<core::FabricView>([this] { return loop->core().View(ReadClocks()); });
  }

  void Route(const std::string& method, const std::string& path, Handler handler) {
    const auto serve = [handler = std::move(handler)](const httplib::Request& request,
                                                      httplib::Response& response) {
      const Result<Json> answer = handler(request);
      if (!answer.ok()) response.status = HttpStatus(answer.error().code);
      const Json& body = answer.ok() ? *answer : api::ErrorJson(answer.error());
      // Names and texts may come from peers: bytes that are not UTF-8 must not make the document invalid.
      response.set_content(body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
                           "application/json");
    };
    if (method == "GET") {
      http.Get(path, serve);
    } else {
      http.Post(path, serve);
    }
  }

  void AddRoutes();
  Result<Json> StatusPage();
  Result<Json> Switches();
  Result<Json> Bindings(const httplib::Request& request);
  Result<Json> Events(const httplib::Request& request);
  Result<Json> Explain(const httplib::Request& request);
  Result<Json> Drain(const httplib::Request& request, bool drain);
  Result<Json> Check();
  Result<Json> Sync(const httplib::Request& request);
  Result<std::vector<std::string>> SwitchNames();
  std::optional<uint64_t> BindingsInDatabase(const std::string& switch_name);
};

Result<Json> ApiServer::Impl::StatusPage() {
  Result<std::pair<core::FabricView, api::StatusInput>> got =
      AskNow<std::pair<core::FabricView, api::StatusInput>>([this] {
        api::StatusInput input;
        input.fabric = loop->config().controller.fabric;
        input.intake = loop->intake();
        return std::make_pair(loop->core().View(ReadClocks()), std::move(input));
      });
  if (!got.ok()) return got.error();
  auto& [view, input] = *got;
  input.uptime_s = static_cast<double>((ReadClocks().mono - options.started.mono).count()) / 1e6;
  input.pid = static_cast<int>(getpid());
  input.warnings = log::WarningsWritten();
  input.store = store->Counters();
  return api::StatusJson(view, input);
}

Result<Json> ApiServer::Impl::Switches() {
  using Pair = std::pair<core::FabricView, std::vector<api::SwitchEdges>>;
  Result<Pair> got = AskNow<Pair>([this] {
    Pair out{loop->core().View(ReadClocks()), {}};
    const auto sessions = loop->OpenFlowStatuses();
    const auto bridges = loop->BridgeStatuses();
    for (const core::SwitchView& sw : out.first.switches) {
      api::SwitchEdges edges;
      const DatapathId dpid = loop->DpidOf(sw.name);
      for (const auto& s : sessions) {
        if (s.dpid == dpid) edges.openflow = s;
      }
      for (const auto& b : bridges) {
        if (b.switch_name == sw.name) edges.bridge = b;
      }
      edges.last_sync = loop->LastSync(dpid);
      out.second.push_back(std::move(edges));
    }
    return out;
  });
  if (!got.ok()) return got.error();
  return api::SwitchesJson(got->first, got->second);
}

Result<Json> ApiServer::Impl::Bindings(const httplib::Request& request) {
  Result<uint64_t> limit = NumberParam(request, "limit", 1000, kMaxRows);
  if (!limit.ok()) return limit.error();
  Result<uint64_t> offset = NumberParam(request, "offset", 0, UINT32_MAX);
  if (!offset.ok()) return offset.error();
  BindingFilter filter;
  filter.service = request.get_param_value("service");
  filter.client = request.get_param_value("client");
  filter.instance = request.get_param_value("instance");
  filter.switch_name = request.get_param_value("switch");
  filter.limit = static_cast<uint32_t>(*limit);
  filter.offset = static_cast<uint32_t>(*offset);
  Result<nlohmann::json> rows = reader->ListBindings(filter);
  if (!rows.ok()) return rows.error();
  return Json{{"bindings", std::move(*rows)}};
}

Result<Json> ApiServer::Impl::Events(const httplib::Request& request) {
  Result<uint64_t> after = NumberParam(request, "after", 0, INT64_MAX);
  if (!after.ok()) return after.error();
  Result<uint64_t> limit = NumberParam(request, "limit", 100, kMaxRows);
  if (!limit.ok()) return limit.error();
  Result<nlohmann::json> rows =
      reader->ListEvents(static_cast<int64_t>(*after), static_cast<uint32_t>(*limit));
  if (!rows.ok()) return rows.error();
  return Json{{"events", std::move(*rows)}};
}

Result<Json> ApiServer::Impl::Explain(const httplib::Request& request) {
  Result<std::pair<IpAddress, uint16_t>> client = ParseClient(request.get_param_value("client"));
  if (!client.ok()) return client.error();
  Result<uint64_t> port = NumberParam(request, "port", 0, 65535);
  if (!port.ok()) return port.error();
  const std::string service = request.get_param_value("service");
  const std::string switch_name = request.get_param_value("switch");
  using Found = Result<std::pair<core::Explanation, std::string>>;
  Result<Found> got = AskNow<Found>([this, client, port, service, switch_name]() -> Found {
    const core::Core& core = loop->core();
    const std::optional<ServiceId> id = core.FindService(service);
    if (!id) return MakeError(Errc::kNotFound, "no service has the name or D-SID '" + service + "'");
    std::optional<SwitchId> at;
    if (!switch_name.empty() && !(at = core.FindSwitch(switch_name))) {
      return MakeError(Errc::kNotFound, "no switch has the name '" + switch_name + "'");
    }
    const core::FabricView view = core.View(ReadClocks());
    const auto spec = std::find_if(view.services.begin(), view.services.end(),
                                   [&](const core::ServiceView& s) { return s.id == *id; });
    if (spec == view.services.end()) return MakeError(Errc::kNotFound, "the service is not configured");
    Demand demand;
    demand.client = client->first;
    demand.sid = client->first.is_v4() ? spec->spec.sid_v4.value_or(IpAddress{})
                                       : spec->spec.sid_v6.value_or(IpAddress{});
    demand.src_port = client->second;
    const PortRange& range = spec->spec.ports.front();
    demand.proto = range.proto;
    demand.dst_port = *port != 0 ? static_cast<uint16_t>(*port) : range.first;
    for (const PortRange& r : spec->spec.ports) {
      if (demand.dst_port >= r.first && demand.dst_port <= r.last) demand.proto = r.proto;
    }
    return std::make_pair(core.Explain(demand, *id, at, ReadClocks()), spec->spec.name);
  });
  if (!got.ok()) return got.error();
  if (!got->ok()) return got->error();
  const core::Explanation& explanation = (**got).first;
  Json out = api::ExplainJson(explanation);
  // Why each live binding stands: the decision as it was recorded.
  for (size_t i = 0; i < explanation.bound.size(); ++i) {
    Result<nlohmann::json> decision = reader->DecisionFor(explanation.bound[i].key);
    if (decision.ok() && !decision->is_null()) out["bound"][i]["decision"] = std::move(*decision);
  }
  return out;
}

Result<Json> ApiServer::Impl::Drain(const httplib::Request& request, bool drain) {
  Result<uint64_t> deadline = NumberParam(request, "deadline_s", 0, 31536000);
  if (!deadline.ok()) return deadline.error();
  core::DrainRequested event;
  event.instance = request.get_param_value("instance");
  event.drain = drain;
  event.deadline = std::chrono::seconds(*deadline);
  using Found = Result<core::InstanceView>;
  Result<Found> got = AskNow<Found>([this, event]() -> Found {
    const auto find = [&](const core::FabricView& view) {
      return std::find_if(view.instances.begin(), view.instances.end(),
                          [&](const core::InstanceView& i) { return i.name == event.instance; });
    };
    const core::FabricView before = loop->core().View(ReadClocks());
    if (find(before) == before.instances.end()) {
      return MakeError(Errc::kNotFound, "no instance has the name '" + event.instance + "'");
    }
    loop->StepNow(event);
    const core::FabricView after = loop->core().View(ReadClocks());
    return *find(after);
  });
  if (!got.ok()) return got.error();
  if (!got->ok()) return got->error();
  return Json{{"instance", (**got).name}, {"state", InstanceStateName((**got).state)}};
}

Result<std::vector<std::string>> ApiServer::Impl::SwitchNames() {
  return AskNow<std::vector<std::string>>([this] {
    std::vector<std::string> names;
    for (const config::SwitchConfig& sw : loop->config().switches) names.push_back(sw.name);
    return names;
  });
}

std::optional<uint64_t> ApiServer::Impl::BindingsInDatabase(const std::string& switch_name) {
  if (!store->Flush(std::chrono::seconds(2)).ok()) return std::nullopt;
  Result<uint64_t> count = reader->CountBindings(switch_name);
  return count.ok() ? std::optional<uint64_t>(*count) : std::nullopt;
}

Result<Json> ApiServer::Impl::Check() {
  Result<std::vector<std::string>> names = SwitchNames();
  if (!names.ok()) return names.error();
  Json rows = Json::array();
  bool ok = true;
  for (const std::string& name : *names) {
    Json row;
    // Bindings come and go while the switch is read: what differs must differ three times to count.
    for (int attempt = 0; attempt < 3; ++attempt) {
      Result<SwitchCheck> check = Ask<SwitchCheck>([this, name](std::shared_ptr<Answer<SwitchCheck>> a) {
        loop->Check(name, [a](SwitchCheck c) { a->Give(std::move(c)); });
      });
      if (!check.ok()) return check.error();
      row = api::CheckJson(*check, BindingsInDatabase(name));
      if (row["ok"].get<bool>() || !check->reachable) break;
    }
    ok = ok && row["ok"].get<bool>();
    rows.push_back(std::move(row));
  }
  return Json{{"ok", ok}, {"switches", rows}};
}

Result<Json> ApiServer::Impl::Sync(const httplib::Request& request) {
  Result<std::vector<std::string>> names = SwitchNames();
  if (!names.ok()) return names.error();
  if (request.has_param("switch")) {
    const std::string only = request.get_param_value("switch");
    if (std::find(names->begin(), names->end(), only) == names->end()) {
      return MakeError(Errc::kNotFound, "no switch has the name '" + only + "'");
    }
    *names = {only};
  }
  Json rows = Json::array();
  bool ok = true;
  using Report = std::optional<openflow::SyncReport>;
  for (const std::string& name : *names) {
    Result<Report> report = Ask<Report>([this, name](std::shared_ptr<Answer<Report>> a) {
      loop->Resync(name, [a](Report r) { a->Give(std::move(r)); });
    });
    if (!report.ok()) return report.error();
    ok = ok && report->has_value();
    rows.push_back(api::SyncJson(name, *report));
  }
  return Json{{"ok", ok}, {"switches", rows}};
}

void ApiServer::Impl::AddRoutes() {
  using Request = httplib::Request;
  const auto view = [this](Json (*make)(const core::FabricView&)) {
    return [this, make](const Request&) -> Result<Json> {
      Result<core::FabricView> got = View();
      if (!got.ok()) return got.error();
      return make(*got);
    };
  };
  Route("GET", "/v1/status", [this](const Request&) { return StatusPage(); });
  Route("GET", "/v1/services", view(api::ServicesJson));
  Route("GET", "/v1/instances", view(api::InstancesJson));
  Route("GET", "/v1/agents", view(api::AgentsJson));
  Route("GET", "/v1/switches", [this](const Request&) { return Switches(); });
  Route("GET", "/v1/metrics", [this](const Request& r) -> Result<Json> {
    Result<core::FabricView> got = View();
    if (!got.ok()) return got.error();
    return api::MetricsJson(*got, r.get_param_value("instance"));
  });
  Route("GET", "/v1/bindings", [this](const Request& r) { return Bindings(r); });
  Route("GET", "/v1/events", [this](const Request& r) { return Events(r); });
  Route("GET", "/v1/explain", [this](const Request& r) { return Explain(r); });
  Route("POST", "/v1/drain", [this](const Request& r) { return Drain(r, true); });
  Route("POST", "/v1/undrain", [this](const Request& r) { return Drain(r, false); });
  Route("POST", "/v1/check", [this](const Request&) { return Check(); });
  Route("POST", "/v1/sync", [this](const Request& r) { return Sync(r); });
  http.set_error_handler([](const httplib::Request& r, httplib::Response& response) {
    if (!response.body.empty()) return;  // a handler has answered
    const Error error =
        response.status == 404
            ? MakeError(Errc::kNotFound, "no such path: " + r.path.substr(0, 64))
            : MakeError(Errc::kInvalid, "the request could not be read (a POST needs a length)");
    response.set_content(api::ErrorJson(error).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
                         "application/json");
  });
  http.set_payload_max_length(4096);
  // A stop waits for idle clients and for half a request: not for long.
  http.set_read_timeout(2);
  http.set_keep_alive_timeout(1);
  http.set_keep_alive_max_count(1000);
  http.new_task_queue = [] { return new httplib::ThreadPool(16); };
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<ApiServer>> ApiServer::Start(Options options, ControlLoop* loop, BindingStore* store) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  impl->loop = loop;
  impl->store = store;
  Result<std::unique_ptr<StoreReader>> reader = StoreReader::Open(impl->options.database);
  if (!reader.ok()) return reader.error();
  impl->reader = std::move(*reader);
  Result<int> fd = ListenUnix(impl->options.socket_path);
  if (!fd.ok()) return fd.error();
  impl->AddRoutes();
  impl->http.UseListeningSocket(*fd);
  Impl* raw = impl.get();
  impl->thread = std::thread([raw] {
    raw->http.listen_after_bind();
    raw->ended = true;
    if (!raw->stopping) {
      DYN_ERROR("DC-AP-001", "api", "ended", "socket={} rule=restart to have it back",
                raw->options.socket_path);
    }
  });
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

ApiServer::~ApiServer() {
  impl_->stopping = true;
  // stop() before the thread reached its loop would be lost.
  while (!impl_->http.is_running() && !impl_->ended) std::this_thread::yield();
  impl_->http.stop();
  impl_->thread.join();
  unlink(impl_->options.socket_path.c_str());
}

}  // namespace dyncast
