#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>

#include "server/http/response_framing.hpp"
#include "server/http/shared_count.hpp"
#include "server/request_handler.hpp"
#include "server/service/group_commit.hpp"

namespace locker::server {

/// The answers of one round until they are sent, and the deliveries that belong to them. Not
/// thread-safe.
class Output {
 public:
  /// Keeps memory for `kept` bytes from round to round; more is counted in `buffered` while it is
  /// held.
  Output(std::size_t kept, SharedCount& buffered) : kept_(kept), counted_(buffered) {}

  /// Appends an answer. Takes over its delivery, which is notified when the answer is sent, and
  /// otherwise only destroyed. `index` is the Locker-Index.
  void append(Response& response, std::string_view date, Index index, ConnectionField connection,
              bool to_head) {
    // First, so that it is undone if memory runs out for this or for the rest.
    const bool is_owed = response.delivery != nullptr;
    if (is_owed) {
      owed_.push_back({.delivery = std::move(response.delivery),
                       .has_waited = response.call == CallKind::waited});
    }
    awaited_ = std::max(awaited_, response.index);
    append_response(response, date, index, connection, to_head, bytes_);
    if (is_owed) owed_.back().end = bytes_.size();
  }
  /// For output that is no answer, and for the pieces of a stream.
  [[nodiscard]] std::string& bytes() { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool is_empty() const { return bytes_.empty(); }

  /// The highest index that an answer waits for; 0: none waits.
  [[nodiscard]] Index awaited() const { return awaited_; }
  /// Returns whether there is a delivery for an answer that was pending.
  [[nodiscard]] bool owes_who_waited() const {
    return std::any_of(owed_.begin(), owed_.end(),
                       [](const Owed& owed) { return owed.has_waited; });
  }
  /// Call when the output cannot be sent immediately. False: all connections together hold too
  /// much.
  [[nodiscard]] bool hold() {
    const bool is_counted = !counted_.is_empty() || bytes_.capacity() <= kept_;
    return is_counted || counted_.add(bytes_.capacity());
  }

  [[nodiscard]] boost::asio::const_buffer unsent() const {
    return {bytes_.data() + sent_, bytes_.size() - sent_};
  }
  void add_sent(std::size_t size) { sent_ += size; }
  [[nodiscard]] bool is_sent() const { return sent_ == bytes_.size(); }

  /// Prepares for the next round. REQUIRES: is_sent().
  void finish() {
    end_deliveries();
    sent_ = 0;
    awaited_ = 0;
    counted_.give_back();
    if (bytes_.capacity() > kept_) std::string{}.swap(bytes_);
    bytes_.clear();
  }
  /// Call when the connection is closed. The bytes stay, because a write may be under way.
  void give_up() {
    counted_.give_back();
    end_deliveries();
  }

 private:
  struct Owed {
    std::size_t end = std::string::npos;  // of its answer, in bytes_
    std::unique_ptr<Delivery> delivery;
    bool has_waited = false;  // its answer was pending
  };

  void end_deliveries() {
    for (const Owed& each : owed_) {
      if (each.end <= sent_) each.delivery->delivered();
    }
    owed_.clear();
  }

  const std::size_t kept_;
  std::string bytes_;
  std::vector<Owed> owed_;
  std::size_t sent_ = 0;
  Index awaited_ = 0;
  SharedPart counted_;
};

}  // namespace locker::server
