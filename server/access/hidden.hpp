#pragma once

#include <vector>

#include "core/arbiter_answers.hpp"
#include "server/access/access_key.hpp"

namespace locker::server {

/// What stands in place of an owner or of a path's only segment that the caller may not read.
inline constexpr std::string_view hidden = "(hidden)";

/// Whether the caller may be told what is held at `path`. `caller` may be null.
[[nodiscard]] bool may_read(const Caller* caller, core::PathView path);

/// Takes path, owner and meta from those that the caller may not read. That somebody is in the way,
/// how, and for how long, stays: without it a client could not decide whether to wait.
void hide_unreadable(const Caller* caller, std::vector<core::LockInfo>& infos);
void hide_unreadable(const Caller* caller, std::vector<core::CycleStep>& cycle);

}  // namespace locker::server
