#include "core/ended_memory.hpp"

namespace locker::core {

Hash EndedMemory::hash_of(const Token& token) const { return hash_.then(token.view()); }

std::uint64_t EndedMemory::key_of(const Token& token, PathView path) const {
  return hash_of(token).then(path.packed()).value();
}

std::uint32_t EndedMemory::find_slot(const Token& token, std::uint64_t key) const {
  return slots_.find(fold(key), [&](std::uint32_t slot) {
    return ring_[slot - 1].key == key && ring_[slot - 1].token == token;
  });
}

void EndedMemory::set(std::uint32_t slot, const Ended& ended, Instant now) {
  Entry& entry = ring_[slot - 1];
  entry.when = now;
  entry.fence = ended.fence;
  entry.reason = ended.reason;
  if (entry.has_detail) {
    const auto before = details_.find(slot);
    detail_bytes_ -= before->second.size();
    details_.erase(before);
  }
  entry.has_detail = !ended.detail.empty();
  if (entry.has_detail) details_[slot] = ended.detail;
  detail_bytes_ += ended.detail.size();
}

void EndedMemory::remember(const Token& token, std::uint64_t key, const Ended& ended, Instant now) {
  forget(token, key);  // it is among the latest now
  if (ring_.size() < capacity) ring_.emplace_back();
  Entry& entry = ring_[next_];
  const auto slot = static_cast<std::uint32_t>(next_ + 1);
  next_ = (next_ + 1) % capacity;
  if (entry.is_used) slots_.erase(fold(entry.key), slot);
  entry.token = token;
  entry.key = key;
  entry.is_used = true;
  slots_.insert(fold(key), slot);
  set(slot, ended, now);
}

void EndedMemory::remember_lock(const Token& token, PathView path, const Ended& ended,
                                Instant now) {
  remember(token, key_of(token, path), ended, now);
}

void EndedMemory::remember_lease(const Token& token, const Ended& ended, Instant now) {
  remember(token, hash_of(token).value(), ended, now);
}

std::optional<EndedMemory::Ended> EndedMemory::find(const Token& token, std::uint64_t key,
                                                    Instant now) const {
  const std::uint32_t slot = find_slot(token, key);
  if (slot == ExtendibleTable::none || now - ring_[slot - 1].when > memory_span) {
    return std::nullopt;
  }
  const Entry& entry = ring_[slot - 1];
  return Ended{entry.reason, entry.fence, entry.has_detail ? details_.at(slot) : std::string{}};
}

std::optional<EndedMemory::Ended> EndedMemory::find_lock(const Token& token, PathView path,
                                                         Instant now) const {
  return find(token, key_of(token, path), now);
}

std::optional<EndedMemory::Ended> EndedMemory::find_lease(const Token& token, Instant now) const {
  return find(token, hash_of(token).value(), now);
}

void EndedMemory::forget_lease(const Token& token) { forget(token, hash_of(token).value()); }

void EndedMemory::forget(const Token& token, std::uint64_t key) {
  const std::uint32_t slot = find_slot(token, key);
  if (slot == ExtendibleTable::none) return;
  slots_.erase(fold(key), slot);
  ring_[slot - 1].is_used = false;
}

}  // namespace locker::core
