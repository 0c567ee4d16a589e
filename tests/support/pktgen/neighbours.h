// ARP and neighbour discovery for addresses that no kernel has: the clients' and the receivers'. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "schema/base/ip.h"

namespace dyncast::pktgen {

// The answer to an ARP request or neighbour solicitation for an address that `ours` says yes to.
std::optional<std::vector<uint8_t>> AnswerNeighbour(std::span<const uint8_t> frame, const MacAddress& own,
                                                    const std::function<bool(const IpAddress&)>& ours);
// An ARP request or a neighbour solicitation for `target`, from `sender`.
std::vector<uint8_t> AskNeighbour(const MacAddress& own, const IpAddress& sender, const IpAddress& target);
// The MAC that an ARP reply or a neighbour advertisement gives for `target`.
std::optional<MacAddress> NeighbourAnswer(std::span<const uint8_t> frame, const IpAddress& target);

}  // namespace dyncast::pktgen
