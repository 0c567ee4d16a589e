// The local API: HTTP/1.1 with JSON over a unix socket, for dyncastctl and scripts (docs/api.md).
// Requests run on threads of their own. What lives on the control thread is asked for by a short task
// there; bindings and history come from the database, by a connection of the API's own.
#pragma once

#include <memory>
#include <string>

#include "controller/io/control_loop.h"
#include "schema/base/result.h"

namespace dyncast {

class ApiServer {
 public:
  struct Options {
    std::string socket_path;
    std::string database;
    std::string prometheus_listen{};  // "IPv4:PORT" of a port for Prometheus; empty: none
    Now started{};
  };
  // Listens (mode 0660) and serves until destroyed. `loop` outlives the server and keeps running its
  // queue meanwhile. kConflict if another program serves that socket.
  static Result<std::unique_ptr<ApiServer>> Start(Options options, ControlLoop* loop, BindingStore* store);
  ~ApiServer();

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast
