#include "bench/cycles/connection.hpp"

#include <cstdio>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "bench/held_locks.hpp"

namespace locker::bench {

using server::net::buffer;
using ErrorCode = boost::system::error_code;

Connection::Connection(server::net::io_context& io_context, const server::tcp::endpoint& server,
                       std::unique_ptr<Dialogue> dialogue, std::size_t number, Run& run)
    : socket_(io_context.get_executor()),
      dialogue_(std::move(dialogue)),
      run_(run),
      number_(number),
      lanes_(run.lanes),
      asked_(run.lanes) {
  socket_.connect(server);
  socket_.set_option(server::tcp::no_delay(true));
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i].name = path_of(i);
  dialogue_->greet(output_);
  if (output_.empty()) return;
  send();
  for (Heard heard; heard.what != Heard::What::yes; input_.erase(0, heard.size)) {
    heard = dialogue_->hear_greeting(input_, output_);
    send();
    if (heard.what == Heard::What::unfinished) read_more();
  }
}

std::string Connection::path_of(std::size_t lane) const {
  if (run_.work == Work::contended) return std::string{contended_name};
  if (run_.work == Work::hand_over) return std::string{waited_for_name};
  if (run_.work == Work::refusal) return std::string{refused_name};
  const std::string own = std::to_string(number_) + "-" + std::to_string(lane);
  if (run_.among > 0) {
    const std::uint64_t n = 1 + spread(turns_ ^ number_ << 32U ^ lane << 48U) % run_.among;
    return held_parent(n) + "/" + own;
  }
  std::string path = "bench";
  for (std::size_t i = 2; i < run_.depth; ++i) path += "/segment" + std::to_string(i);
  return path + "/" + own;
}

void Connection::ask_all(Verb verb) {
  for (Lane& lane : lanes_) {
    lane.verb = verb;
    dialogue_->ask(lane, output_);
    send();
    for (Heard heard; heard.what == Heard::What::unfinished || heard.what == Heard::What::aside;
         input_.erase(0, heard.size)) {
      heard = dialogue_->hear(input_, lane, output_);
      send();
      if (heard.what == Heard::What::unfinished) read_more();
      if (heard.what == Heard::What::no) throw Unexpected{"the server refuses what is free"};
    }
  }
}

void Connection::start() {
  const Verb first = run_.work == Work::query       ? Verb::query
                     : run_.work == Work::renewal   ? Verb::renew
                     : run_.work == Work::hand_over ? Verb::acquire_waiting
                                                    : Verb::acquire;
  now_ = Clock::now();
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) begin(lane, first);
  send();
  listen();
}

void Connection::part() {
  dialogue_->part(output_);
  ErrorCode ignored;  // the server may have closed first
  server::net::write(socket_, buffer(output_), ignored);
}

void Connection::read_more() { input_.append(piece_, socket_.read_some(buffer(piece_))); }

void Connection::send() {
  if (output_.empty()) return;
  server::net::write(socket_, buffer(output_));
  output_.clear();
}

void Connection::begin(std::size_t lane, Verb verb) {
  lanes_[lane].verb = verb;
  if (run_.among > 0 && (verb == Verb::acquire || verb == Verb::query)) {
    ++turns_;
    lanes_[lane].name = path_of(lane);
  }
  dialogue_->ask(lanes_[lane], output_);
  under_way_.push_back(lane);
  asked_[lane] = now_;
}

void Connection::listen() {
  socket_.async_read_some(buffer(piece_), [this](const ErrorCode& error, std::size_t size) {
    if (error) throw Unexpected{"the server closed a connection: " + error.message()};
    input_.append(piece_, size);
    hear();
  });
}

void Connection::hear() {
  now_ = Clock::now();
  std::string_view rest = input_;
  while (!under_way_.empty()) {
    const std::size_t lane = under_way_.front();
    const Heard heard = dialogue_->hear(rest, lanes_[lane], output_);
    rest.remove_prefix(heard.size);
    if (heard.what == Heard::What::unfinished) break;
    if (heard.what == Heard::What::aside) continue;
    under_way_.pop_front();
    on_answer(lane, heard.what == Heard::What::yes);
  }
  input_.erase(0, input_.size() - rest.size());
  send();
  if (!under_way_.empty()) listen();
}

void Connection::on_answer(std::size_t lane, bool yes) {
  const bool is_hand_over = run_.work == Work::hand_over;
  const Verb verb = lanes_[lane].verb;
  if (!was_answered_) ++run_.answered;
  was_answered_ = true;
  if (run_.counts && !is_hand_over) run_.latencies.add(now_ - asked_[lane]);
  switch (verb) {
    case Verb::acquire:
    case Verb::acquire_waiting:
      if (run_.work == Work::refusal) {
        if (yes) throw Unexpected{"granted what another one holds"};
        run_.done += run_.counts;
      } else if (yes) {
        if (run_.counts && is_hand_over) run_.latencies.add(now_ - run_.released);
        if (is_hand_over) run_.released = now_;
        return begin(lane, Verb::release);
      } else if (run_.work == Work::pairs) {
        throw Unexpected{"refused a path that nobody else wants"};
      } else {
        run_.refusals += run_.counts;
      }
      break;
    case Verb::release:
    case Verb::query:
    case Verb::renew:
      if (!yes) throw Unexpected{"a release or a renewal failed"};
      run_.done += run_.counts;
      break;
  }
  if (run_.finished) return;
  const bool was_release = verb == Verb::release;
  begin(lane, was_release ? (is_hand_over ? Verb::acquire_waiting : Verb::acquire) : verb);
}

}  // namespace locker::bench
