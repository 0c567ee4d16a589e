// A TCP port for Prometheus servers: GET /metrics, nothing else. One thread, one connection at a time, at
// most 8 KiB of request and 2 s for all of it: whoever connects can take neither memory nor descriptors, and
// no longer than that of others' time.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "schema/base/result.h"

namespace dyncast {

class PrometheusListener {
 public:
  // Makes the page; called on the listener's thread. An error is answered with 503.
  using Page = std::function<Result<std::string>()>;

  // `listen`: "IPv4:PORT"; port 0 takes a free one. Serves until destroyed. kIo names address and reason.
  static Result<std::unique_ptr<PrometheusListener>> Start(const std::string& listen, Page page);
  ~PrometheusListener();

  int port() const;

 private:
  struct Impl;
  explicit PrometheusListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast
