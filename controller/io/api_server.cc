#include "controller/io/api_server.h"

#include <httplib.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "controller/io/api_handlers.h"
#include "controller/io/api_json.h"
#include "controller/io/prometheus_listener.h"
#include "controller/io/prometheus_page.h"
#include "controller/io/store_reader.h"
#include "schema/base/log.h"
#include "schema/base/unix_socket.h"

namespace dyncast {
namespace {

using api::Json;

// httplib listens on TCP by itself; given a listening descriptor its loop serves a unix socket as well.
class UnixHttpServer : public httplib::Server {
 public:
  void UseListeningSocket(int fd) { svr_sock_ = fd; }
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

}  // namespace

struct ApiServer::Impl {
  Options options;
  std::unique_ptr<api::Handlers> handlers;
  std::unique_ptr<PrometheusListener> prometheus;  // null: no port for it
  UnixHttpServer http;
  std::thread thread;
  std::atomic<bool> ended{false};  // the listening thread gave up or was stopped

  using Handler = Result<Json> (api::Handlers::*)(const api::Params&);

  void Route(const std::string& method, const std::string& path, Handler handler) {
    const auto serve = [this, handler](const httplib::Request& request, httplib::Response& response) {
      const Result<Json> answer = (handlers.get()->*handler)(request.params);
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
};

void ApiServer::Impl::AddRoutes() {
  using H = api::Handlers;
  Route("GET", "/v1/status", &H::StatusPage);
  Route("GET", "/v1/services", &H::Services);
  Route("GET", "/v1/instances", &H::Instances);
  Route("GET", "/v1/agents", &H::Agents);
  Route("GET", "/v1/switches", &H::Switches);
  Route("GET", "/v1/metrics", &H::Metrics);
  Route("GET", "/v1/paths", &H::Paths);
  Route("GET", "/v1/links", &H::Links);
  Route("GET", "/v1/bindings", &H::Bindings);
  Route("GET", "/v1/events", &H::Events);
  Route("GET", "/v1/explain", &H::Explain);
  Route("POST", "/v1/drain", &H::Drain);
  Route("POST", "/v1/undrain", &H::Undrain);
  Route("POST", "/v1/check", &H::Check);
  Route("POST", "/v1/sync", &H::Sync);
  http.Get("/v1/prometheus", [this](const httplib::Request&, httplib::Response& response) {
    const Result<std::string> page = handlers->Prometheus();
    if (page.ok()) {
      response.set_content(*page, std::string(api::kPrometheusContentType));
      return;
    }
    response.status = HttpStatus(page.error().code);
    response.set_content(api::ErrorJson(page.error()).dump() + "\n", "application/json");
  });
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
  Result<std::unique_ptr<StoreReader>> reader = StoreReader::Open(impl->options.database);
  if (!reader.ok()) return reader.error();
  impl->handlers = std::make_unique<api::Handlers>(loop, store, std::move(*reader), impl->options.started);
  if (!impl->options.prometheus_listen.empty()) {
    api::Handlers* handlers = impl->handlers.get();
    auto port = PrometheusListener::Start(impl->options.prometheus_listen,
                                          [handlers] { return handlers->Prometheus(); });
    if (!port.ok()) return port.error();
    impl->prometheus = std::move(*port);
  }
  Result<int> fd = ListenUnix(impl->options.socket_path);
  if (!fd.ok()) return fd.error();
  impl->AddRoutes();
  impl->http.UseListeningSocket(*fd);
  Impl* raw = impl.get();
  impl->thread = std::thread([raw] {
    raw->http.listen_after_bind();
    raw->ended = true;
    if (!raw->handlers->stopping()) {
      DYN_ERROR("DC-AP-001", "api", "ended", "socket={} rule=restart to have it back",
                raw->options.socket_path);
    }
  });
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

ApiServer::~ApiServer() {
  impl_->handlers->Stop();
  impl_->prometheus.reset();
  // stop() before the thread reached its loop would be lost.
  while (!impl_->http.is_running() && !impl_->ended) std::this_thread::yield();
  impl_->http.stop();
  impl_->thread.join();
  unlink(impl_->options.socket_path.c_str());
}

}  // namespace dyncast
