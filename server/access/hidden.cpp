#include "server/access/hidden.hpp"

#include "core/assert.hpp"
#include "core/path.hpp"

namespace locker::server {
namespace {

std::string hidden_path() {
  core::Path path;
  const auto pushed = path.push_back(hidden);
  LOCKER_ASSERT(pushed == core::Path::Push::ok);
  return std::string{path.view().packed()};
}

bool reads_everything(const Caller* caller) {
  return caller == nullptr || may_read(caller, core::PathView{});
}

}  // namespace

bool may_read(const Caller* caller, core::PathView path) {
  return caller == nullptr || !caller->key || caller->key->may(core::Right::read, path);
}

void hide_unreadable(const Caller* caller, std::vector<core::LockInfo>& infos) {
  if (reads_everything(caller)) return;
  for (core::LockInfo& info : infos) {
    if (may_read(caller, core::PathView{info.packed_path})) continue;
    info.packed_path = hidden_path();
    info.owner = hidden;
    info.meta.clear();
  }
}

void hide_unreadable(const Caller* caller, std::vector<core::CycleStep>& cycle) {
  if (reads_everything(caller)) return;
  for (core::CycleStep& step : cycle) {
    if (!may_read(caller, core::PathView{step.blocked_by})) step.blocked_by = hidden_path();
    if (may_read(caller, core::PathView{step.waits_for})) continue;
    step.waits_for = hidden_path();
    step.owner = hidden;
  }
}

}  // namespace locker::server
