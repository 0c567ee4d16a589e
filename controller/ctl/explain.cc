// `dyncastctl explain`: where a demand is bound and why, and where it would go now.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "controller/ctl/render.h"
#include "controller/ctl/table.h"

namespace dyncast::ctl {
namespace {

std::string KeyText(const Json& key) {
  std::string out = "client " + FormatValue(Field(key, "client"));
  const auto add = [&](const char* field, const char* word) {
    const Json& value = Field(key, field);
    if (!value.is_null() && value != 0) out += fmt::format(", {} {}", word, FormatValue(value));
  };
  add("src_port", "source port");
  add("dst_port", "port");
  add("proto", "protocol");
  return out;
}

std::string ReasonText(const Json& reason) {
  if (reason == "new") return "because the demand was new";
  if (reason == "instance-gone") return "because the instance it was bound to had gone";
  if (reason == "found") return "found on the switch, with no record of a decision";
  return reason.is_string() ? "reason: " + FormatValue(reason) : "";
}

// "cpu_utilization=0.3 (1.2s old)" for each metric: an object with ages beside it, or a list of samples.
std::string MetricsText(const Json& candidate) {
  const Json& metrics = Field(candidate, "metrics");
  const Json& ages = Field(candidate, "metric_ages_s");
  std::string out;
  const auto add = [&](const std::string& name, const Json& value, const Json& age) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", Escape(name), FormatValue(value));
    if (age.is_number()) out += fmt::format(" ({} old)", FormatDuration(age.get<double>()));
  };
  if (metrics.is_object()) {
    for (const auto& [name, value] : metrics.items()) add(name, value, Field(ages, name));
  } else if (metrics.is_array()) {
    for (const Json& sample : metrics) {
      const Json& name = Field(sample, "name");
      add(name.is_string() ? name.get<std::string>() : "-", Field(sample, "value"), Field(sample, "age_s"));
    }
  }
  return out.empty() ? "-" : out;
}

// Columns that stand only where some candidate has them: what the policy reckons with, and the scores.
struct Extra {
  const char* heading;
  const char* field;
  bool level;         // within `levels`
  bool milliseconds;  // shown as a duration
};
constexpr std::array<Extra, 7> kExtras = {{{"RTT", "rtt_ms", false, true},
                                           {"AHEAD", "outstanding", false, false},
                                           {"EXPECTED", "expected_ms", false, true},
                                           {"L1 COMPUTE", "l1_compute", true, false},
                                           {"L1 COMM", "l1_communication", true, false},
                                           {"L1 SERVICE", "l1_service", true, false},
                                           {"L2", "l2", true, false}}};

const Json& ValueOf(const Json& candidate, const Extra& extra) {
  return Field(extra.level ? Field(candidate, "levels") : candidate, extra.field);
}

std::string CellOf(const Json& candidate, const Extra& extra) {
  const Json& value = ValueOf(candidate, extra);
  return extra.milliseconds && value.is_number() ? FormatDuration(value.get<double>() / 1000)
                                                 : FormatValue(value);
}

// A table of candidates; `chosen` is marked.
std::string CandidatesText(const Json& candidates, const Json& chosen, const std::string& indent) {
  const auto some = [&candidates](auto&& has) {
    return std::any_of(candidates.begin(), candidates.end(), has);
  };
  const bool shares = some([](const Json& c) { return Field(c, "share").is_number(); });
  std::vector<Heading> headings = {{""}, {"INSTANCE"}, {"STATE"}};
  if (shares) headings.push_back({"SHARE", Align::kRight});
  for (const char* heading : {"COST", "LOAD", "CAPACITY", "BINDINGS"}) {
    headings.push_back({heading, Align::kRight});
  }
  headings.push_back({"EXCLUDED"});
  std::vector<Extra> extras;
  for (const Extra& extra : kExtras) {
    if (!some([&extra](const Json& c) { return !ValueOf(c, extra).is_null(); })) continue;
    extras.push_back(extra);
    headings.push_back({extra.heading, Align::kRight});
  }
  headings.push_back({"METRICS"});
  Table table(std::move(headings));
  for (const Json& candidate : candidates) {
    const Json& name = Field(candidate, "instance");
    std::vector<std::string> cells = {chosen.is_string() && chosen == name ? "*" : ""};
    for (const char* key : {"instance", "state"}) cells.push_back(FormatValue(Field(candidate, key)));
    if (shares) cells.push_back(FormatShare(Field(candidate, "share")));
    for (const char* key : {"cost", "load", "capacity", "bindings", "excluded"}) {
      cells.push_back(FormatValue(Field(candidate, key)));
    }
    for (const Extra& extra : extras) cells.push_back(CellOf(candidate, extra));
    cells.push_back(MetricsText(candidate));
    table.Add(std::move(cells));
  }
  return table.Text(indent);
}

// The scores of a decision, joined with what was known of each candidate then.
Json Joined(const Json& decision) {
  const Json& scores = Field(decision, "scores");
  Json known = Field(decision, "candidates");
  // As `context` in place of its number, or beside it.
  if (!known.is_array()) known = Field(Field(decision, "context"), "candidates");
  Json joined = Json::array();
  const auto find = [](const Json& rows, const Json& name) -> const Json& {
    static const Json kNone = Json::object();
    if (rows.is_array()) {
      for (const Json& row : rows) {
        if (row.is_object() && name.is_string() && Field(row, "instance") == name) return row;
      }
    }
    return kNone;
  };
  if (scores.is_array()) {
    for (const Json& score : scores) {
      if (!score.is_object()) continue;
      Json row = find(known, Field(score, "instance"));
      row.update(score);
      joined.push_back(std::move(row));
    }
  }
  if (known.is_array()) {
    for (const Json& row : known) {
      if (row.is_object() && find(joined, Field(row, "instance")).empty()) joined.push_back(row);
    }
  }
  return joined;
}

std::string BoundText(const Json& bound, WallTime now) {
  const Json& decision = Field(bound, "decision");
  const Json& since =
      Field(bound, "created_at").is_null() ? Field(decision, "at") : Field(bound, "created_at");
  std::string out = fmt::format("Bound at switch {} to {} ({})", FormatValue(Field(bound, "switch")),
                                FormatValue(Field(bound, "instance")), KeyText(bound));
  if (since.is_number()) {
    const double age = static_cast<double>(UnixMicros(now)) / 1e6 - since.get<double>();
    out += fmt::format(" for {}, since {}", FormatDuration(age), FormatTime(since));
  } else if (!since.is_null()) {
    out += ", since " + FormatTime(since);
  }
  out += ".\n";
  if (Field(bound, "instance_gone") == true) {
    out += "  That instance is gone: the next packet selects again.\n";
  }
  if (!decision.is_object()) return out + "  There is no record of the decision.\n";
  const Json& reason =
      Field(decision, "start_reason").is_null() ? Field(decision, "reason") : Field(decision, "start_reason");
  out += fmt::format("  Decided with policy {}", FormatValue(Field(decision, "policy")));
  if (!Field(decision, "decided_by").is_null()) {
    out += " by the " + FormatValue(Field(decision, "decided_by"));
  }
  if (const std::string text = ReasonText(reason); !text.empty()) out += ", " + text;
  if (const Json& count = Field(decision, "candidate_count"); !count.is_null() && count != 0) {
    out += fmt::format(", among {} candidates", FormatValue(count));
  }
  out += ".\n";
  const Json rows = Joined(decision);
  if (!rows.empty()) {
    // A D-Forwarder was told by a D-Router's hash, or by the controller, which then says so itself.
    const bool by_switch =
        Field(decision, "decided_by") == "switch" || Field(decision, "decided_by") == "forwarder";
    out += (by_switch ? "  By the hash of the key; the shares of new demands then:\n"
                      : "  Lower cost is better; as it was known then:\n") +
           CandidatesText(rows, Field(bound, "instance"), "    ");
  }
  return out;
}

// dispatch learn: what each switch does with the demand by itself.
std::string VerdictsText(const Json& answer) {
  std::string out;
  for (const Json& at : Field(answer, "verdicts")) {
    const Json& slots = Field(at, "slots");
    const Json& asks = Field(at, "asks");
    const std::string where =
        FormatValue(Field(at, "switch")) + (asks.is_string() ? ", which asks " + FormatValue(asks) : "");
    if (!slots.is_number() || slots == 0) {
      out += fmt::format("Switch {}: no instance takes such demands.\n", where);
      continue;
    }
    const Json& bound = Field(at, "bound");
    const Json& instance = Field(at, "instance");
    out += fmt::format("Switch {}: ", where);
    if (bound.is_string()) out += fmt::format("bound to {}, so it goes there; ", FormatValue(bound));
    if (instance.is_string()) {
      out += fmt::format("by the hash of its key{} it {} to {} (slot {} of {}).\n",
                         bound.is_string() ? " alone" : "", bound.is_string() ? "would go" : "goes",
                         FormatValue(instance), FormatValue(Field(at, "slot")), FormatValue(slots));
    } else {
      out += "the hash needs the source port too: give the client as ADDRESS:PORT.\n";
    }
    out += "  Shares of new demands:";
    for (const Json& share : Field(at, "shares")) {
      out += fmt::format(" {} {}", FormatValue(Field(share, "instance")), FormatShare(Field(share, "share")));
    }
    out += "\n";
    if (Field(at, "closed") == true) {
      out += "  The service is full there: new demands go by the hash alone, without a binding.\n";
    }
  }
  return out;
}

}  // namespace

Result<std::string> RenderExplain(const Json& answer, WallTime now) {
  const Json& bound = Field(answer, "bound");
  const Json& candidates = Field(answer, "candidates");
  if (!bound.is_array() || !candidates.is_array()) {
    return MakeError(Errc::kProtocol, "the controller's explanation lacks 'bound' or 'candidates'");
  }
  std::string out = fmt::format("Service {}, policy {}: {}.\n", FormatValue(Field(answer, "service")),
                                FormatValue(Field(answer, "policy")), FormatValue(Field(answer, "formula")));
  out += fmt::format("The affinity key is {}.\n\n", KeyText(Field(answer, "key")));
  const Json& store = Field(answer, "store");
  if (bound.empty()) {
    if (store == "none") {
      out += "With store none the controller knows no bindings.\n";
    } else {
      out += store == "conntrack"
                 ? "Not bound at a D-Forwarder; with store conntrack the controller knows no others.\n"
                 : "Not bound on any switch.\n";
    }
  }
  for (const Json& binding : bound) out += BoundText(binding, now);
  const Json& chosen = Field(answer, "would_choose");
  if (Field(answer, "dispatch") == "learn") {
    out += fmt::format("\nThe switches decide by themselves (store {}).\n", FormatValue(store)) +
           VerdictsText(answer);
    if (!candidates.empty()) out += CandidatesText(candidates, Json(), "  ");
    return out;
  }
  out += chosen.is_string() ? fmt::format("\nA new demand would now go to {}.\n", FormatValue(chosen))
                            : fmt::format("\nA new demand would now find no instance: {}.\n",
                                          FormatValue(Field(answer, "no_instance_reason")));
  if (!candidates.empty()) out += CandidatesText(candidates, chosen, "  ");
  return out;
}

}  // namespace dyncast::ctl
