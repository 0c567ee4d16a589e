// HTTP requests to the controller over its unix socket.
#pragma once

#include <string>

#include "controller/ctl/text.h"
#include "schema/base/result.h"

namespace dyncast::ctl {

struct Answer {
  int status = 0;    // of HTTP
  std::string body;  // as received
  Json json;         // the same, parsed
};

class Client {
 public:
  explicit Client(std::string socket_path);
  // `target` is a path with its query, already encoded. kUnavailable where nobody answers (naming the
  // socket and the reason), kProtocol where the answer is no JSON. Any HTTP status is an answer.
  Result<Answer> Get(const std::string& target) const;
  Result<Answer> Post(const std::string& target) const;

 private:
  Result<Answer> Request(const char* method, const std::string& target) const;
  std::string socket_path_;
};

}  // namespace dyncast::ctl
