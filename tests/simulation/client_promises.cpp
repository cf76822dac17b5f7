#include "tests/simulation/client_promises.hpp"

#include <algorithm>

#include "tests/simulation/simulated_server.hpp"

namespace locker::simulation {

void ClientPromises::on_granted(const core::Token& token, const std::vector<core::Wanted>& locks,
                                core::Fence fence, core::Fence floor, core::Instant until,
                                core::Instant now) {
  if (fence <= floor) {
    fail("fence " + std::to_string(fence) + " is not above " + std::to_string(floor) +
         ", which was seen before the request");
  }
  const auto [owner, is_new] = fences_.emplace(fence, token);
  if (!is_new && owner->second != token) fail("fence " + std::to_string(fence) + " given twice");
  highest_fence_ = std::max(highest_fence_, fence);
  std::erase_if(holds_, [&](const Hold& hold) { return hold.until <= now; });
  for (const auto& lock : locks) {
    if (forced_.contains({fence, lock.packed_path})) continue;
    for (const Hold& other : holds_) {
      if (other.token != token && clash(other.lock, lock)) {
        fail("fences " + std::to_string(other.fence) + " and " + std::to_string(fence) +
             " clash and are held at once");
      }
    }
    std::erase_if(holds_, [&](const Hold& hold) {
      return hold.token == token && hold.lock.packed_path == lock.packed_path;
    });
    holds_.push_back({token, lock, fence, until});
    known_fences_[{token, lock.packed_path}] = fence;
  }
  on_renewed(token, until);
}

void ClientPromises::on_renewed(const core::Token& token, core::Instant until) {
  for (Hold& hold : holds_) {
    if (hold.token == token) hold.until = std::max(hold.until, until);
  }
}

void ClientPromises::on_renewal_sent(const core::Token& token, core::Instant until) {
  for (Hold& hold : holds_) {
    if (hold.token == token) hold.until = std::min(hold.until, until);
  }
}

void ClientPromises::on_release_sent(const core::Token& token, const std::string* packed_path) {
  std::erase_if(holds_, [&](const Hold& hold) {
    return hold.token == token && (packed_path == nullptr || hold.lock.packed_path == *packed_path);
  });
}

void ClientPromises::on_force(const core::LockTable& table, const std::string& packed_path) {
  table.for_each_lock([&](const core::HeldLock& held) {
    if (table.path_of(held).view().packed() == packed_path) {
      forced_.emplace(held.id.fence, packed_path);
    }
  });
  std::erase_if(holds_, [&](const Hold& hold) { return hold.lock.packed_path == packed_path; });
}

void ClientPromises::on_released(const core::Token& token, const std::string& packed_path) {
  const auto known = known_fences_.find({token, packed_path});
  if (known != known_fences_.end()) released_.emplace(token, packed_path, known->second);
}

void ClientPromises::on_lease_ended(const core::Token& token, core::Instant now) {
  for (const Hold& hold : holds_) {
    if (hold.token == token && hold.until > now) {
      fail("the lease of fence " + std::to_string(hold.fence) + " has ended before its time");
    }
  }
}

bool ClientPromises::holds(const core::Token& token) const {
  return std::any_of(holds_.begin(), holds_.end(),
                     [&](const Hold& hold) { return hold.token == token; });
}

void ClientPromises::check_held(const core::LockTable& table, core::Instant now) {
  for (const Hold& hold : holds_) {
    if (hold.until <= now) continue;
    const auto held = table.held_by(hold.token, core::PathView{hold.lock.packed_path});
    if (!held || held->id.fence != hold.fence) {
      fail("fence " + std::to_string(hold.fence) + " is lost: its holder still counts on it");
    }
  }
}

void ClientPromises::check_released(const core::LockTable& table) {
  table.for_each_lock([&](const core::HeldLock& held) {
    if (held.is_cooling) return;
    const std::string path{table.path_of(held).view().packed()};
    if (released_.contains({table.token_of(held), path, held.id.fence})) {
      fail("fence " + std::to_string(held.id.fence) + " was released and is held again");
    }
  });
}

}  // namespace locker::simulation
