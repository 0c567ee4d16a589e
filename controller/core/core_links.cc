// Traffic of the switches' ports: taken in, and shown.
#include <chrono>
#include <set>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {

void Core::Impl::On(const PortsCounted& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured || !sw->connected) return;
  sw->links.Set(event.ports, now.mono);
  sw->links_told = true;
  const std::vector<LinkView> views = LinksOf(*sw, now.mono);
  Emit(LinksRecord{.at_switch = sw->id, .at = now.wall, .links = {views.begin(), views.end()}}, effects);
}

void Core::Impl::ForgetLinks(Switch* sw, Now now, Effects* effects) {
  sw->links.Clear();
  if (std::exchange(sw->links_told, false)) {
    Emit(LinksRecord{.at_switch = sw->id, .at = now.wall, .links = {}}, effects);
  }
}

std::vector<LinkView> Core::Impl::LinksOf(const Switch& sw, MonoTime now) const {
  std::vector<LinkView> views;
  std::set<std::string_view> shown;  // an interface may be several ports that differ in their VLAN
  for (const config::PortConfig& port : sw.config.ports) {
    if (!shown.insert(port.name).second) continue;
    LinkView view;
    view.port = port.name;
    view.role = port.role;
    for (const config::PortConfig& same : sw.config.ports) {
      if (same.name == port.name && same.speed) view.speed_bit_s = same.speed;
    }
    const auto number = sw.numbers ? sw.numbers->find(port.name) : PortNumbers::const_iterator{};
    if (sw.numbers && number != sw.numbers->end()) {
      view.number = number->second;
      if (const LinkTable::Link* link = sw.links.Find(TaggedPort(number->second, 0))) {
        if (!view.speed_bit_s) view.speed_bit_s = link->counters.speed_bit_s;
        view.counters = link->counters;
        view.rates = link->rates;
        view.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - link->at);
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace dyncast::core
