#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/arbiter_answers.hpp"
#include "core/arbiter_commands.hpp"

namespace locker::server {

// How /v1 writes what the core says; API.md describes each. All append to `out`.

/// A number of milliseconds, or null when there is none.
void append_milliseconds(std::optional<core::Duration> duration, std::string& out);
/// Null for zero: no TTL, no fence.
void append_number_or_null(std::uint64_t number, std::string& out);
/// `"ttl_ms": …, "expires_in_ms": …` of a lease that was renewed just now.
void append_ttl(core::Milliseconds ttl, std::string& out);
void append_shape(const core::Shape& shape, std::string& out);

/// A lock of a list, of a path's state, of a lease.
void append_lock(const core::LockInfo& info, const core::Now& now, std::string& out);
/// A request that waits; `place` counts from 1, 0 leaves it out.
void append_waiter(const core::LockInfo& info, const core::Now& now, std::size_t place,
                   std::string& out);
/// [{…}, …] of a refusal: who is in the way.
void append_blockers(const std::vector<core::LockInfo>& blockers, const core::Now& now,
                     std::string& out);

/// For how long it is held or waits.
[[nodiscard]] core::Duration age_of(const core::LockInfo& info, const core::Now& now);
[[nodiscard]] std::string_view name_of(core::LockInfo::State state);

/// The same as a table for people, columns aligned.
[[nodiscard]] std::string text_table(const std::vector<core::LockInfo>& infos,
                                     const core::Now& now);

}  // namespace locker::server
