#include "controller/io/api_handlers.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "schema/base/log.h"

namespace dyncast::api {
namespace {

constexpr size_t kMaxRows = 100000;

}  // namespace

std::string Param(const Params& params, const std::string& key) {
  const auto it = params.find(key);
  return it == params.end() ? std::string() : it->second;
}

Result<uint64_t> NumberParam(const Params& params, const char* key, uint64_t fallback, uint64_t most) {
  if (!params.contains(key)) return fallback;
  const std::string text = Param(params, key);
  uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || value > most) {
    return MakeError(Errc::kInvalid, std::string(key) + "='" + text.substr(0, 64) +
                                         "' must be a whole number up to " + std::to_string(most));
  }
  return value;
}

Result<Json> Handlers::StatusPage(const Params&) {
  Result<std::pair<core::FabricView, StatusInput>> got =
      AskNow<std::pair<core::FabricView, StatusInput>>([this] {
        StatusInput input;
        input.fabric = loop_->config().controller.fabric;
        input.intake = loop_->intake();
        input.packets_unreadable = loop_->unreadable_packets();
        return std::make_pair(loop_->core().View(ReadClocks()), std::move(input));
      });
  if (!got.ok()) return got.error();
  auto& [view, input] = *got;
  input.uptime_s = static_cast<double>((ReadClocks().mono - started_.mono).count()) / 1e6;
  input.pid = static_cast<int>(getpid());
  input.warnings = log::WarningsWritten();
  input.store = store_->Counters();
  return StatusJson(view, input);
}

Result<Json> Handlers::Services(const Params&) {
  Result<core::FabricView> view = View();
  if (!view.ok()) return view.error();
  return ServicesJson(*view);
}

Result<Json> Handlers::Instances(const Params&) {
  Result<core::FabricView> view = View();
  if (!view.ok()) return view.error();
  return InstancesJson(*view);
}

Result<Json> Handlers::Agents(const Params&) {
  Result<core::FabricView> view = View();
  if (!view.ok()) return view.error();
  return AgentsJson(*view);
}

Result<Json> Handlers::Switches(const Params&) {
  using Pair = std::pair<core::FabricView, std::vector<SwitchEdges>>;
  Result<Pair> got = AskNow<Pair>([this] {
    Pair out{loop_->core().View(ReadClocks()), {}};
    const auto sessions = loop_->OpenFlowStatuses();
    const auto bridges = loop_->BridgeStatuses();
    for (const core::SwitchView& sw : out.first.switches) {
      SwitchEdges edges;
      const DatapathId dpid = loop_->DpidOf(sw.name);
      for (const auto& s : sessions) {
        if (s.dpid == dpid) edges.openflow = s;
      }
      for (const auto& b : bridges) {
        if (b.switch_name == sw.name) edges.bridge = b;
      }
      edges.last_sync = loop_->LastSync(dpid);
      out.second.push_back(std::move(edges));
    }
    return out;
  });
  if (!got.ok()) return got.error();
  return SwitchesJson(got->first, got->second);
}

Result<Json> Handlers::Bindings(const Params& params) {
  Result<uint64_t> limit = NumberParam(params, "limit", 1000, kMaxRows);
  if (!limit.ok()) return limit.error();
  Result<uint64_t> offset = NumberParam(params, "offset", 0, UINT32_MAX);
  if (!offset.ok()) return offset.error();
  BindingFilter filter;
  filter.service = Param(params, "service");
  filter.client = Param(params, "client");
  filter.instance = Param(params, "instance");
  filter.switch_name = Param(params, "switch");
  filter.limit = static_cast<uint32_t>(*limit);
  filter.offset = static_cast<uint32_t>(*offset);
  Result<nlohmann::json> rows = reader_->ListBindings(filter);
  if (!rows.ok()) return rows.error();
  if (rows->empty()) {
    if (Status known = CheckFilter(filter); !known.ok()) return known.error();
  }
  return Json{{"bindings", std::move(*rows)}};
}

Status Handlers::CheckFilter(const BindingFilter& filter) {
  Result<core::FabricView> view = View();
  if (!view.ok()) return view.error();
  const auto missing = [](std::string_view what, const std::string& name) {
    return MakeError(Errc::kNotFound, "no " + std::string(what) + " '" + name.substr(0, 64) + "'");
  };
  const auto is_service = [&](const core::ServiceView& s) {
    const auto is_sid = [&](const std::optional<IpAddress>& sid) {
      const Result<IpAddress> asked = IpAddress::Parse(filter.service);
      return sid && asked.ok() && *asked == *sid;
    };
    return s.spec.name == filter.service || is_sid(s.spec.sid_v4) || is_sid(s.spec.sid_v6);
  };
  const auto named = [](const std::string& name) {
    return [&name](const auto& row) { return row.name == name; };
  };
  if (!filter.service.empty() && std::none_of(view->services.begin(), view->services.end(), is_service)) {
    return missing("service has the name or D-SID", filter.service);
  }
  if (!filter.instance.empty() &&
      std::none_of(view->instances.begin(), view->instances.end(), named(filter.instance))) {
    return missing("instance has the name", filter.instance);
  }
  if (!filter.switch_name.empty() &&
      std::none_of(view->switches.begin(), view->switches.end(), named(filter.switch_name))) {
    return missing("switch has the name", filter.switch_name);
  }
  if (!filter.client.empty() && !IpAddress::Parse(filter.client).ok()) {
    return MakeError(Errc::kInvalid, "client='" + filter.client.substr(0, 64) + "' must be an IP address");
  }
  return Ok();
}

Result<Json> Handlers::Events(const Params& params) {
  Result<uint64_t> after = NumberParam(params, "after", 0, INT64_MAX);
  if (!after.ok()) return after.error();
  Result<uint64_t> limit = NumberParam(params, "limit", 100, kMaxRows);
  if (!limit.ok()) return limit.error();
  Result<nlohmann::json> rows =
      reader_->ListEvents(static_cast<int64_t>(*after), static_cast<uint32_t>(*limit));
  if (!rows.ok()) return rows.error();
  return Json{{"events", std::move(*rows)}};
}

Result<Json> Handlers::Drain(const Params& params) { return SetDrain(params, DrainAction::kDrain); }

Result<Json> Handlers::Undrain(const Params& params) { return SetDrain(params, DrainAction::kUndrain); }

Result<Json> Handlers::SetDrain(const Params& params, DrainAction action) {
  Result<uint64_t> deadline = NumberParam(params, "deadline_s", 0, 31536000);
  if (!deadline.ok()) return deadline.error();
  core::DrainRequested event;
  event.instance = Param(params, "instance");
  event.drain = action == DrainAction::kDrain;
  event.deadline = std::chrono::seconds(*deadline);
  using Found = Result<core::InstanceView>;
  Result<Found> got = AskNow<Found>([this, event]() -> Found {
    const auto find = [&](const core::FabricView& view) {
      return std::find_if(view.instances.begin(), view.instances.end(),
                          [&](const core::InstanceView& i) { return i.name == event.instance; });
    };
    const core::FabricView before = loop_->core().View(ReadClocks());
    if (find(before) == before.instances.end()) {
      return MakeError(Errc::kNotFound, "no instance has the name '" + event.instance + "'");
    }
    loop_->StepNow(event);
    const core::FabricView after = loop_->core().View(ReadClocks());
    return *find(after);
  });
  if (!got.ok()) return got.error();
  if (!got->ok()) return got->error();
  return Json{{"instance", (**got).name}, {"state", InstanceStateName((**got).state)}};
}

Result<std::vector<std::string>> Handlers::SwitchNames() {
  return AskNow<std::vector<std::string>>([this] {
    std::vector<std::string> names;
    for (const config::SwitchConfig& sw : loop_->config().switches) names.push_back(sw.name);
    return names;
  });
}

std::optional<uint64_t> Handlers::BindingsInDatabase(const std::string& switch_name) {
  if (!store_->Flush(std::chrono::seconds(2)).ok()) return std::nullopt;
  Result<uint64_t> count = reader_->CountBindings(switch_name);
  return count.ok() ? std::optional<uint64_t>(*count) : std::nullopt;
}

Result<Json> Handlers::Check(const Params&) {
  Result<std::vector<std::string>> names = SwitchNames();
  if (!names.ok()) return names.error();
  Json rows = Json::array();
  bool ok = true;
  for (const std::string& name : *names) {
    Json row;
    // Bindings come and go while the switch is read: what differs must differ three times to count.
    for (int attempt = 0; attempt < 3; ++attempt) {
      Result<SwitchCheck> check = Ask<SwitchCheck>([this, name](std::shared_ptr<Answer<SwitchCheck>> a) {
        loop_->Check(name, [a](SwitchCheck c) { a->Give(std::move(c)); });
      });
      if (!check.ok()) return check.error();
      row = CheckJson(*check, BindingsInDatabase(name));
      if (row["ok"].get<bool>() || !check->reachable) break;
    }
    ok = ok && row["ok"].get<bool>();
    rows.push_back(std::move(row));
  }
  return Json{{"ok", ok}, {"switches", rows}};
}

Result<Json> Handlers::Sync(const Params& params) {
  Result<std::vector<std::string>> names = SwitchNames();
  if (!names.ok()) return names.error();
  if (params.contains("switch")) {
    const std::string only = Param(params, "switch");
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
      loop_->Resync(name, [a](Report r) { a->Give(std::move(r)); });
    });
    if (!report.ok()) return report.error();
    ok = ok && report->has_value();
    rows.push_back(SyncJson(name, *report));
  }
  return Json{{"ok", ok}, {"switches", rows}};
}

}  // namespace dyncast::api
