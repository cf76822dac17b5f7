#include "tests/server/later_handler.hpp"

#include <algorithm>

namespace locker::server {

class LaterHandler::TicketAnswer final : public PendingAnswer {
 public:
  TicketAnswer(LaterHandler& handler, std::shared_ptr<Ticket> ticket, std::string_view path,
               bool delivers)
      : handler_(handler), ticket_(std::move(ticket)), path_(path), delivers_(delivers) {}

  void start(Waker& waker) override {
    {
      const std::lock_guard lock{ticket_->mutex};
      ticket_->waker = &waker;
      if (ticket_->woken) waker.wake();
    }
    if (path_ == "/instant") ticket_->wake();
  }

  void finish(Response& response) override {
    {
      const std::lock_guard lock{ticket_->mutex};
      ++ticket_->finished;
    }
    response.body = path_;
    if (delivers_) response.delivery = std::make_unique<CountedDelivery>(handler_.deliveries);
    if (path_ == "/pwrite") response.body = std::to_string(response.index = handler_.write());
    if (path_ == "/throws") throw std::runtime_error{"finish() threw"};
  }

  std::optional<std::uint64_t> take_back(Response& /*response*/) override { return std::nullopt; }

  bool abandon() override {
    const std::lock_guard lock{ticket_->mutex};
    if (ticket_->woken) {
      ++ticket_->refused_abandons;
      return false;
    }
    ticket_->abandoned = true;
    return true;
  }

 private:
  LaterHandler& handler_;
  const std::shared_ptr<Ticket> ticket_;
  const std::string path_;
  const bool delivers_;
};

class LaterHandler::ChannelStream final : public Stream {
 public:
  explicit ChannelStream(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}
  ~ChannelStream() override {
    const std::lock_guard lock{channel_->mutex};
    channel_->waker = nullptr;
    channel_->gone = true;
  }

  void start(Waker& waker) override {
    const std::lock_guard lock{channel_->mutex};
    channel_->waker = &waker;
  }

  Outcome read(std::string& out, std::size_t limit) override {
    const std::lock_guard lock{channel_->mutex};
    channel_->largest_limit = std::max(channel_->largest_limit, limit);
    if (channel_->throws) throw std::runtime_error{"read() threw"};
    if (channel_->endless) {
      out.append(limit, 'x');
      return Outcome::more;
    }
    const std::size_t size = std::min(limit, channel_->events.size());
    out.append(channel_->events, 0, size);
    channel_->events.erase(0, size);
    if (!channel_->events.empty()) return Outcome::more;
    if (channel_->over) return Outcome::over;
    channel_->waits = true;
    return Outcome::waits;
  }

  void append_comment(std::string& out) override { out += ": calm\n\n"; }

 private:
  const std::shared_ptr<Channel> channel_;
};

std::uint64_t LaterHandler::write() {
  const std::lock_guard lock{commit_.mutex()};
  return commit_.add(core::Ended{{}, {1, 0}, core::End::released});
}

std::unique_ptr<PendingAnswer> LaterHandler::make_pending(std::string_view path,
                                                          std::string_view query) {
  const std::lock_guard lock{mutex_};
  auto ticket = tickets_.emplace_back(std::make_shared<Ticket>());
  changed_.notify_all();
  const bool delivers = query == "deliver" || path == "/throws";
  return std::make_unique<TicketAnswer>(*this, std::move(ticket), path, delivers);
}

void LaterHandler::answer(const Request& request, Response& response) {
  ++calls;
  const auto& [text, path, query, verb, rest] = request.target;
  if (path == "/pend" || path == "/instant" || path == "/throws" || path == "/pwrite") {
    response.body = "of no account";
    response.pending = make_pending(path, query);
    return;
  }
  response.body = path;
  if (path == "/write") response.body = std::to_string(response.index = write());
  if (path == "/big") response.body.assign(30'000'000, 'x');
  if (path == "/deliver" || path == "/big" || query == "deliver") {
    response.delivery = std::make_unique<CountedDelivery>(deliveries);
  }
  if (path == "/stream" || path == "/endless") {
    const std::lock_guard lock{mutex_};
    auto channel = channels_.emplace_back(std::make_shared<Channel>());
    channel->endless = path == "/endless";
    response.content_type = "text/event-stream";
    response.stream = std::make_unique<ChannelStream>(std::move(channel));
    changed_.notify_all();
  }
}

std::shared_ptr<Ticket> LaterHandler::ticket(std::size_t number) {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return tickets_.size() > number; });
  return tickets_[number];
}

std::shared_ptr<Channel> LaterHandler::channel(std::size_t number) {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return channels_.size() > number; });
  return channels_[number];
}

}  // namespace locker::server
