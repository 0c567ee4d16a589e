// The controller's answers as text for people. Pure: the answer and the time of day in, text out.
//
// Unknown fields are passed over and missing ones shown as '-', so that a newer or older controller can
// be asked too. kProtocol where an answer has not even the outer form.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/ctl/text.h"
#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::ctl {

// The lists: "services", "instances", "switches", "agents", "metrics", "paths", "links", "bindings",
// "events".
Result<std::string> RenderList(std::string_view list, const Json& answer, WallTime now);
Result<std::string> RenderStatus(const Json& answer);
Result<std::string> RenderExplain(const Json& answer, WallTime now);
Result<std::string> RenderCheck(const Json& answer);
Result<std::string> RenderSync(const Json& answer);
Result<std::string> RenderDrain(const Json& answer);
// One event as a line, for `events --follow`.
std::string RenderEvent(const Json& event);

// Keeps the rows whose `field` is one of `values` (all where `values` is empty). kNotFound, naming the
// value, where one of them is in no row.
Result<Json> FilterRows(std::string_view list, std::string_view field, const std::vector<std::string>& values,
                        Json answer);

// False: what was asked is not so (`check` found differences, nothing can be chosen, ...).
bool IsSo(std::string_view command, const Json& answer);

// The error of an answer with an HTTP status of 400 or more; `status` decides where the body says nothing.
Error ErrorOf(int status, const Json& answer);
// Exit code for it: 1 for what is not there or not so, 2 for usage and an unreachable controller.
int ExitCode(const Error& error);

// answer[key], or null.
const Json& Field(const Json& object, std::string_view key);

}  // namespace dyncast::ctl
