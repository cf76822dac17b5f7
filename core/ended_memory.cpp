#include "core/ended_memory.hpp"

#include <utility>

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

std::uint32_t EndedMemory::add_detail(const std::string& text) {
  if (text.empty()) return 0;
  const auto known = detail_numbers_.find(text);
  if (known != detail_numbers_.end()) {
    ++details_[known->second].entries;
    return known->second;
  }
  do {
    ++last_detail_;
  } while (last_detail_ == 0 || details_.contains(last_detail_));
  const Detail& added = details_[last_detail_] = {text, 1};
  detail_numbers_[added.text] = last_detail_;
  detail_bytes_ += text.size();
  return last_detail_;
}

void EndedMemory::drop_detail(std::uint32_t number) {
  const auto detail = details_.find(number);
  if (detail == details_.end() || --detail->second.entries != 0) return;
  detail_bytes_ -= detail->second.text.size();
  detail_numbers_.erase(detail->second.text);
  details_.erase(detail);
}

void EndedMemory::remember(const Token& token, std::uint64_t key, const Ended& ended, Instant now) {
  forget(token, key);  // it becomes one of the latest
  if (ring_.size() < capacity) ring_.emplace_back();
  Entry& entry = ring_[next_];
  const auto slot = static_cast<std::uint32_t>(next_ + 1);
  next_ = (next_ + 1) % capacity;
  if (entry.is_used) slots_.erase(fold(entry.key), slot);
  drop_detail(entry.detail);
  entry = {token, key, now, ended.fence, ended.reason, true, add_detail(ended.detail)};
  slots_.insert(fold(key), slot);
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
  return Ended{entry.reason, entry.fence,
               entry.detail == 0 ? std::string{} : details_.at(entry.detail).text};
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
  Entry& entry = ring_[slot - 1];
  entry.is_used = false;
  drop_detail(std::exchange(entry.detail, 0));
}

}  // namespace locker::core
