// The part of AgentCore that asks the sources of an application's own metrics, and takes their answers.
#include <algorithm>
#include <utility>

#include "agent/core/agent.h"
#include "agent/core/text.h"
#include "agent/core/timer_grid.h"

namespace dyncast::agent {

MonoTime AgentCore::SourcesDeadline(const Instance& instance) const {
  const config::InstanceConfig& config = instance.config();
  MonoTime next = MonoTime::max();
  if (config.scrape || (config.orca && !config.orca->url.empty())) next = scrape_at_;
  for (const SourceValues& plugin : instance.plugins()) next = std::min(next, plugin.next_run);
  return next;
}

void AgentCore::StartSources(Slot slot, Instance* instance, bool scrape, Now now, Effects* effects) {
  const config::InstanceConfig& config = instance->config();
  if (scrape && config.scrape && !instance->scrape_running) {
    instance->scrape_running = true;
    effects->scrapes.push_back(slot);
  }
  if (scrape && config.orca && !config.orca->url.empty() && !instance->load_fetch_running) {
    instance->load_fetch_running = true;
    effects->load_fetches.push_back(slot);
  }
  for (size_t i = 0; i < config.plugins.size(); ++i) {
    SourceValues& plugin = instance->plugins()[i];
    if (plugin.next_run > now.mono) continue;
    plugin.next_run = NextOnGrid(plugin.next_run, config.plugins[i].interval, now.mono);
    if (plugin.running) continue;
    plugin.running = true;
    effects->plugins.push_back({.slot = slot, .plugin = i});
  }
}

void AgentCore::NoteRefused(const Instance& instance, std::vector<std::string> refused, Effects* effects) {
  for (std::string& what : refused) {
    ++counters_.refused_metrics;
    effects->notes.push_back({Note::Kind::kRefusedMetric, instance.config().name, std::move(what)});
  }
}

void AgentCore::Renewed(Instance* instance, Now now, Effects* effects) {
  if (!instance->sampled() || stopping_) return;
  NoteRefused(*instance, instance->Renew(now.mono), effects);
  EmitReport(effects, instance, Trigger::kSample, now);
}

void AgentCore::OnScrape(Slot slot, const SourceReading& values, Now now) {
  const auto it = instances_.find(slot);
  if (it == instances_.end()) return;
  if (!values) ++counters_.scrapes_failed;
  it->second.scrape_running = false;
  it->second.OnScrape(values, now.mono);
}

Effects AgentCore::OnPlugin(PluginRun run, const SourceReading& values, Now now) {
  Effects effects;
  const auto it = instances_.find(run.slot);
  if (it == instances_.end() || run.plugin >= it->second.plugins().size()) return effects;
  if (!values) ++counters_.plugins_failed;
  it->second.plugins()[run.plugin].running = false;
  it->second.OnPlugin(run.plugin, values, now.mono);
  Renewed(&it->second, now, &effects);
  return effects;
}

Effects AgentCore::OnLoadReport(Slot slot, const Result<LoadReport>& report, Now now) {
  Effects effects;
  const auto it = instances_.find(slot);
  if (it == instances_.end() || !it->second.config().orca) return effects;
  if (!report) {
    ++counters_.load_reports_refused;
    return effects;
  }
  ++counters_.load_reports;
  it->second.OnLoadReport(*report, now.mono);
  Renewed(&it->second, now, &effects);
  return effects;
}

Effects AgentCore::OnLoadFetch(Slot slot, const Result<LoadReport>& report, Now now) {
  const auto it = instances_.find(slot);
  if (it != instances_.end()) it->second.load_fetch_running = false;
  return OnLoadReport(slot, report, now);
}

PostAnswer AgentCore::OnPost(const LoadPost& post, Now now) {
  PostAnswer answer;
  const auto refuse = [&](int status, std::string problem) {
    ++counters_.load_reports_refused;
    answer.status = status;
    answer.problem = std::move(problem);
    return std::move(answer);
  };
  const std::string_view name = InstanceOfPath(post.path);
  const auto it = std::find_if(instances_.begin(), instances_.end(), [&](const auto& entry) {
    const config::InstanceConfig& config = entry.second.config();
    return config.name == name && config.orca && config.orca->post;
  });
  if (it == instances_.end()) {
    return refuse(404, "no instance " + Quoted(name) + " here that posts; the path is /v1/load/INSTANCE");
  }
  if (!MayPost(config_, it->second.config(), post.peer)) {
    return refuse(403, "may not post for " + std::string(name) + " from " + post.peer->ToString());
  }
  const Result<LoadReport> report = ReadPost(post);
  if (!report) return refuse(report.error().code == Errc::kNotFound ? 415 : 400, report.error().message);
  answer.effects = OnLoadReport(it->first, report, now);
  answer.status = 204;
  return answer;
}

}  // namespace dyncast::agent
