#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "core/record.hpp"

namespace locker::core {

/// Returns the openings of a journal that have not ended, in the form that
/// persistence/compaction.cpp writes.
inline std::string snapshot_of(std::string_view journal) {
  std::set<LockId> ended;
  std::set<LockId> cooling;
  std::map<Token, Milliseconds> ttls;
  const auto for_each_record = [&](const auto& visit) {
    RecordReader reader{journal};
    Record record;
    while (reader.next(record)) std::visit(visit, record);
  };
  for_each_record([&](const auto& kind) {
    using Kind = std::decay_t<decltype(kind)>;
    if constexpr (std::is_same_v<Kind, Ended>) {
      ended.insert(kind.id);
    } else if constexpr (std::is_same_v<Kind, Cooling>) {
      cooling.insert(kind.id);
    } else if constexpr (std::is_same_v<Kind, Granted>) {
      if (!kind.is_cooling) ttls[kind.token] = kind.ttl;
    } else {
      ttls[kind.token] = kind.ttl;
    }
  });
  std::string snapshot;
  for_each_record([&](auto kind) {
    using Kind = std::decay_t<decltype(kind)>;
    if constexpr (std::is_same_v<Kind, Granted> || std::is_same_v<Kind, LeaseOpened>) {
      if (ended.contains(kind.id)) return;
      if (ttls.contains(kind.token)) kind.ttl = ttls[kind.token];
      if constexpr (std::is_same_v<Kind, Granted>) {
        kind.is_cooling = kind.is_cooling || cooling.contains(kind.id);
      }
      append_record(kind, snapshot);
    }
  });
  return snapshot;
}

}  // namespace locker::core
