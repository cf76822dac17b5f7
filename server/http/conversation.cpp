#include "server/http/conversation.hpp"

#include <utility>

#include "server/http/worker.hpp"

namespace locker::server {
namespace {

constexpr Refusal too_many{503, "too_many_connections",
                           "The server has its maximum number of connections (--connections-max, "
                           "or ulimit -n); try again soon."};
constexpr Refusal internal{500, "internal_error",
                           "The server failed to answer; it is not known whether the request was "
                           "carried out. Check before you send it again."};

}  // namespace

Conversation::Conversation(Worker& worker, Connection& connection, InputBuffer& input,
                           Output& output, std::string peer, bool within_limit)
    : worker_(worker),
      connection_(connection),
      input_(input),
      output_(output),
      peer_{std::move(peer), {}},
      parser_(worker.limits(), worker.handler()),
      within_limit_(within_limit) {}

bool Conversation::answer_requests() {
  if (!within_limit_) return !has_ended_ && answer_probe();
  const HttpLimits& limits = worker_.limits();
  is_round_full_ = false;
  std::size_t answered = 0;
  while (!has_ended_ && !waiting_ && !is_streaming_) {
    is_round_full_ =
        answered == limits.round_requests_max || output_.size() >= limits.round_bytes_max;
    if (is_round_full_) break;
    switch (parser_.parse(input_.unread())) {
      case RequestParser::Outcome::complete:
        answer_request();
        input_.use(parser_.size());
        parser_.next();
        ++answered;
        break;
      case RequestParser::Outcome::empty_line:
        input_.use(parser_.size());
        break;
      case RequestParser::Outcome::refused:
        refuse_unread(parser_.refusal());
        break;
      case RequestParser::Outcome::incomplete:
        if (parser_.has_new_header() && answer_early()) break;
        if (parser_.take_continue()) output_.bytes() += "HTTP/1.1 100 Continue\r\n\r\n";
        return answered != 0;
    }
  }
  return answered != 0;
}

/// Over the limit: a monitoring request is answered, and any other one is turned away.
bool Conversation::answer_probe() {
  const RequestParser::Outcome outcome = parser_.parse(input_.unread());
  if (outcome == RequestParser::Outcome::incomplete && !parser_.awaits_body()) return false;
  if (outcome != RequestParser::Outcome::complete || !is_probe(parser_.request())) {
    refuse_over_limit();
    return false;
  }
  answer_request();
  input_.use(parser_.size());
  return true;
}

bool Conversation::is_probe(const Request& request) const {
  return worker_.handler().treatment_of(request.method, request.target).is_probe;
}

void Conversation::answer_request() {
  Request& request = parser_.request();
  if (worker_.hooks().tell_peer) request.peer = &peer_;
  request.connection = &connection_;
  Response& response = worker_.fresh_response();
  try {
    worker_.handler().answer(request, response);
  } catch (...) {
    worker_.report_exception();
    return refuse(internal, asked());
  }
  if (response.pending) {
    begin_waiting(std::move(response.pending), asked());
  } else if (response.stream) {
    begin_stream(response, asked());
  } else {
    append_answer(response, asked(), input_.unread().size() == parser_.size());
  }
}

/// Answers without a large body, before it has arrived. False: the body is needed.
bool Conversation::answer_early() {
  const bool is_small = parser_.knows_size() && parser_.size() <= worker_.limits().read_buffer;
  if (is_small) return false;
  Request& request = parser_.request();
  if (worker_.hooks().tell_peer) request.peer = &peer_;
  Response& response = worker_.fresh_response();
  if (!worker_.handler().answer_early(request, response)) return false;
  append_refusal(response, asked());
  return true;
}

/// REQUIRES: the parser has a request.
Conversation::Asked Conversation::asked() {
  const Request& request = parser_.request();
  return {request.method_name, request.target.path, request.method == Method::head,
          within_limit_ && parser_.keep_alive(), parser_.is_http_1_0()};
}

void Conversation::begin_waiting(std::unique_ptr<PendingAnswer> answer, const Asked& asked) {
  auto waiting = std::make_unique<Waiting>();
  waiting->asked = asked;
  waiting->asked.method = waiting->asked.path = {};  // they point into the input
  if (worker_.hooks().access) {
    waiting->method = asked.method;
    waiting->path = asked.path;
    waiting->asked.method = waiting->method;
    waiting->asked.path = waiting->path;
  }
  waiting->began = round_began_;
  waiting_ = std::move(waiting);
  pending_ = std::move(answer);
}

void Conversation::finish_pending(PendingAnswer& answer) {
  const std::unique_ptr<Waiting> waited = std::move(waiting_);
  waiting_began_ = waited->began;
  Response& response = worker_.fresh_response();
  response.call = CallKind::waited;
  try {
    answer.finish(response);
  } catch (...) {
    worker_.report_exception();
    return refuse(internal, waited->asked);
  }
  append_answer(response, waited->asked, input_.is_empty());
}

void Conversation::refuse_pending(const Refusal& refusal) {
  const std::unique_ptr<Waiting> waited = std::move(waiting_);
  waiting_began_ = waited->began;
  Response& response = worker_.fresh_response();
  response.call = CallKind::waited;
  fill_in(refusal, response);
  has_ended_ = true;
  append(response, waited->asked, ConnectionField::close);
}

void Conversation::begin_stream(Response& response, const Asked& asked) {
  append(response, asked, ConnectionField::close);
  // A request that comes while the server stops gets no stream either.
  has_ended_ = asked.to_head || worker_.is_draining();
  if (has_ended_) return response.stream.reset();
  is_streaming_ = true;
  stream_ = std::move(response.stream);
}

void Conversation::append_answer(Response& response, const Asked& asked, bool nothing_unread) {
  // A server that stops still answers what it has read; the last of these answers says `Connection:
  // close`.
  has_ended_ = !asked.keep_alive || (worker_.is_draining() && nothing_unread);
  append(response, asked,
         has_ended_          ? ConnectionField::close
         : asked.is_http_1_0 ? ConnectionField::keep_alive
                             : ConnectionField::none);
}

void Conversation::append_refusal(Response& response, const Asked& asked) {
  has_ended_ = has_refused_ = true;
  append(response, asked, ConnectionField::close);
}

void Conversation::refuse(const Refusal& refusal, const Asked& asked) {
  Response& response = worker_.fresh_response();
  fill_in(refusal, response);
  response.call = CallKind::unreadable;
  append_refusal(response, asked);
}

void Conversation::refuse_unread(const Refusal& refusal) {
  refuse(refusal, {.to_head = input_.unread().starts_with("HEAD ")});
}

void Conversation::refuse_over_limit() {
  worker_.count_turned_away();
  refuse_unread(too_many);
}

void Conversation::append(Response& response, const Asked& asked, ConnectionField connection) {
  const std::size_t before = output_.size();
  // Loaded only if needed: the committing thread writes to its cache line.
  const Index index = response.index != 0 ? response.index : worker_.commit().durable_index();
  output_.append(response, worker_.date(), index, connection, asked.to_head);
  worker_.metrics().count_answer(response.call, response.status);
  ++answered_[index_of(response.call)];
  const auto& access = worker_.hooks().access;
  if (!access) return;
  access({asked.method, asked.path, response.status, output_.size() - before, peer_.address});
}

void Conversation::finish_round() {
  const SteadyClock::time_point now = SteadyClock::now();
  for (std::size_t at = 0; at < call_count; ++at) {
    if (answered_[at] == 0) continue;
    const auto call = static_cast<CallKind>(at);
    const auto began = call == CallKind::waited ? waiting_began_ : round_began_;
    worker_.metrics().add_duration(call, now - began, answered_[at]);
  }
  answered_ = {};
  round_began_ = now;  // for what was read in the meantime
}

}  // namespace locker::server
