#include "client/command/lease_numbers.hpp"

#include <variant>

namespace locker::client {

std::uint64_t LeaseNumbers::number_of(const core::Record& record) {
  const core::Token token = std::visit([](const auto& kind) { return kind.token; }, record);
  const auto* const granted = std::get_if<core::Granted>(&record);
  const auto* const opened = std::get_if<core::LeaseOpened>(&record);
  const auto* const ended = std::get_if<core::Ended>(&record);
  const bool begins = opened != nullptr || (granted != nullptr && !granted->is_cooling);
  const auto at = begins ? living_.try_emplace(token).first : living_.find(token);
  if (at == living_.end()) return 0;
  Lease& lease = at->second;
  if (lease.number == 0) lease.number = ++last_number_;
  const std::uint64_t number = lease.number;
  if (opened != nullptr) {
    lease.opened = opened->id;
  } else if (granted != nullptr) {
    if (!lease.is_changing) ++lease.locks;
    lease.is_changing = false;
  } else if (ended != nullptr && ended->reason == core::End::changed) {
    lease.is_changing = true;
  } else if (ended != nullptr && ended->id == lease.opened) {
    lease.opened = {};
  } else if (ended != nullptr || std::holds_alternative<core::Cooling>(record)) {
    --lease.locks;
  }
  if (lease.locks == 0 && lease.opened.fence == 0) living_.erase(at);
  return number;
}

}  // namespace locker::client
