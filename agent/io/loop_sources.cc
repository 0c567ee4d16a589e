// The part of AgentLoop that asks the sources of an application's own metrics: its page, its load reports,
// the plug-ins, and the GPUs.
#include <utility>

#include "agent/core/open_metrics.h"
#include "agent/core/orca.h"
#include "agent/core/text.h"
#include "agent/io/loop.h"
#include "schema/base/log.h"

namespace dyncast::agent {
namespace {

Result<ProbeSpec> FetchSpec(const config::InstanceConfig& config, const std::string& url,
                            ProbeSpec::Kind kind, std::chrono::milliseconds timeout) {
  const auto parsed = ParseHttpUrl(url);
  if (!parsed) return parsed.error();
  return ProbeSpec{.kind = kind,
                   .address = parsed->address,
                   .port = parsed->port,
                   .path = parsed->path,
                   .network_namespace = config::CheckNamespaceOf(config),
                   .timeout = timeout};
}

Error WrongStatus(int status, const std::string& url) {
  return MakeError(Errc::kProtocol, "status " + std::to_string(status) + ", must be 200", url);
}

}  // namespace

Status AgentLoop::ListenForLoad() { return load_listener_.Listen(core_.config().orca_listen); }

void AgentLoop::StartSources(const Effects& effects, Now now) {
  for (const Slot slot : effects.scrapes) StartScrape(slot, now);
  for (const Slot slot : effects.load_fetches) StartLoadFetch(slot, now);
  for (const PluginRun& run : effects.plugins) StartPlugin(run, now);
}

SourceReading AgentLoop::ReadPage(const std::string& instance, std::string_view code, const std::string& what,
                                  const std::string& where, const std::string& page,
                                  const std::vector<config::ScrapedMetric>& wanted) {
  auto values = PickMetrics(page, wanted);
  if (!values) {
    problems_.Failed(
        code, instance, what,
        MakeError(values.error().code, values.error().message, where + " " + values.error().where));
    return std::nullopt;
  }
  problems_.Works(instance, what);
  for (size_t i = 0; i < values->size(); ++i) {
    const std::string sample = what + " of " + wanted[i].from;
    if ((*values)[i]) {
      problems_.Works(instance, sample);
    } else {
      problems_.Failed(code, instance, sample, MakeError(Errc::kNotFound, "no such sample", where));
    }
  }
  return std::move(*values);
}

void AgentLoop::StartScrape(Slot slot, Now now) {
  const config::InstanceConfig& config = core_.instances().at(slot).config();
  const std::string name = config.name;
  auto spec = FetchSpec(config, config.scrape->url, ProbeSpec::Kind::kPage, config.scrape->timeout);
  if (!spec) {
    problems_.Failed("DC-AG-006", name, "scrape", spec.error());
    core_.OnScrape(slot, std::nullopt, now);
    return;
  }
  probes_.Start(std::move(*spec), now.mono, [this, slot, name](Result<ProbeAnswer> answer) {
    const auto it = core_.instances().find(slot);
    if (it == core_.instances().end()) return;
    const config::ScrapeConfig& scrape = *it->second.config().scrape;
    if (answer && answer->status != 200) answer = WrongStatus(answer->status, scrape.url);
    SourceReading values;
    if (answer) {
      values = ReadPage(name, "DC-AG-006", "scrape", scrape.url, answer->body, scrape.metrics);
    } else {
      problems_.Failed("DC-AG-006", name, "scrape", answer.error());
    }
    core_.OnScrape(slot, values, ReadClocks());
  });
}

Result<LoadReport> AgentLoop::ReadLoadReport(const std::string& instance, const ProbeAnswer& answer) {
  auto report = LoadReportOf(answer.load_report, answer.load_report_bin)
                    .value_or(MakeError(Errc::kNotFound, "no header or trailer 'endpoint-load-metrics'"));
  if (report) {
    problems_.Works(instance, "load report");
  } else {
    problems_.Failed("DC-AG-010", instance, "load report", report.error());
  }
  return report;
}

void AgentLoop::TakeHealthLoad(Slot slot, const ProbeAnswer& answer, Now now) {
  const auto it = core_.instances().find(slot);
  if (it == core_.instances().end()) return;
  Apply(core_.OnLoadReport(slot, ReadLoadReport(it->second.config().name, answer), now), now);
}

void AgentLoop::StartLoadFetch(Slot slot, Now now) {
  const config::InstanceConfig& config = core_.instances().at(slot).config();
  const auto done = [this, slot, name = config.name, url = config.orca->url](Result<ProbeAnswer> answer) {
    if (answer && answer->status != 200) answer = WrongStatus(answer->status, url);
    const Now at = ReadClocks();
    if (!answer) problems_.Failed("DC-AG-010", name, "load report", answer.error());
    const Result<LoadReport> report = answer ? ReadLoadReport(name, *answer) : answer.error();
    Apply(core_.OnLoadFetch(slot, report, at), at);
  };
  auto spec = FetchSpec(config, config.orca->url, ProbeSpec::Kind::kLoad, config.orca->timeout);
  if (!spec) return done(spec.error());
  probes_.Start(std::move(*spec), now.mono, done);
}

void AgentLoop::StartPlugin(PluginRun run, Now now) {
  const config::InstanceConfig& config = core_.instances().at(run.slot).config();
  const config::PluginConfig& plugin = config.plugins[run.plugin];
  PluginSpec spec{
      .command = plugin.command,
      .environment = {"DYNCAST_INSTANCE=" + config.name, "DYNCAST_SERVICE=" + config.service,
                      "DYNCAST_BID=" + config.bid.ToString(), "DYNCAST_PORT=" + std::to_string(config.port)},
      .timeout = plugin.timeout};
  plugins_.Start(std::move(spec), now.mono, [this, run, name = config.name](Result<std::string> output) {
    const auto it = core_.instances().find(run.slot);
    if (it == core_.instances().end()) return;
    const config::PluginConfig& ran = it->second.config().plugins[run.plugin];
    const std::string what = "plug-in " + std::to_string(run.plugin);
    SourceReading values;
    if (output) {
      // It ended by itself: the last line is whole, with or without its end.
      if (!output->empty() && output->back() != '\n') *output += '\n';
      values = ReadPage(name, "DC-AG-008", what, ran.command[0], *output, ran.metrics);
    } else {
      problems_.Failed("DC-AG-008", name, what, output.error());
    }
    const Now at = ReadClocks();
    Apply(core_.OnPlugin(run, values, at), at);
  });
}

LoadListener::Answer AgentLoop::OnPost(const LoadPost& post) {
  const Now now = ReadClocks();
  PostAnswer answer = core_.OnPost(post, now);
  if (!answer.problem.empty()) {
    DYN_WARN("DC-AG-010", "agent", "refused-load-report", "from={} path={} why=\"{}\"",
             post.peer ? post.peer->ToString() : "unix", Quoted(post.path), answer.problem);
  }
  Apply(std::move(answer.effects), now);
  return {.status = answer.status, .text = std::move(answer.problem)};
}

void AgentLoop::ReadGpus(std::map<Slot, InstanceReadings>* readings, Now now) {
  const std::optional<config::GpuConfig>& of_host = core_.config().gpu;
  std::optional<GpuReadings> host;
  for (const auto& [slot, instance] : core_.instances()) {
    const std::optional<config::GpuConfig>& own = instance.config().gpu;
    GpuReadings& to = (*readings)[slot].gpu;
    if (own) {
      to = gpus_.Read(*own, instance.config().name, now.mono);
    } else if (of_host) {
      if (!host) host = gpus_.Read(*of_host, "host", now.mono);
      to = *host;
    }
  }
}

}  // namespace dyncast::agent
