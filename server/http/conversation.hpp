#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/input_buffer.hpp"
#include "server/http/net.hpp"
#include "server/http/output.hpp"
#include "server/http/refusal.hpp"
#include "server/http/request_parser.hpp"
#include "server/http/response_framing.hpp"
#include "server/request_handler.hpp"

namespace locker::server {

class Worker;

/// The requests and answers of one connection, without its I/O and its deadlines: takes requests
/// from the input and appends their answers to the output. Called on the worker's thread.
class Conversation {
 public:
  /// `worker`, `connection`, `input` and `output` must outlive it. `peer` is passed to the access
  /// hook. If not `within_limit`, there are too many connections, and only a probe is answered.
  Conversation(Worker& worker, Connection& connection, InputBuffer& input, Output& output,
               std::string peer, bool within_limit);
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  /// The requests that are answered next arrived at `now`, or could first be looked at then.
  void begin_round(SteadyClock::time_point now) { round_began_ = now; }
  /// Answers the requests in the input, in order, up to one that is incomplete, that is answered
  /// later or by a stream, or that ends the conversation; but only as many as one round may have.
  /// Returns whether it took at least one whole request from the input; a refused one stays there.
  bool answer_requests();
  /// Whether answer_requests() left off because the round has its maximum.
  [[nodiscard]] bool is_round_full() const { return is_round_full_; }
  /// Hands over the answer that the last request waits for, if it is new; else null. The caller
  /// starts it. Nothing more is answered until finish_pending() or refuse_pending().
  [[nodiscard]] std::unique_ptr<PendingAnswer> take_pending() { return std::move(pending_); }
  /// Hands over the stream whose header was just appended; else null. The caller starts it. Nothing
  /// more is answered.
  [[nodiscard]] std::unique_ptr<Stream> take_stream() { return std::move(stream_); }
  /// Call when the output is sent: counts the durations of its answers, and begins the next round.
  void finish_round();

  /// Finishes and appends the answer that was pending.
  void finish_pending(PendingAnswer& answer);
  /// Refuses the request whose answer was pending.
  void refuse_pending(const Refusal& refusal);
  /// Refuses a request that may be incomplete: its first bytes tell whether it is a HEAD.
  void refuse_unread(const Refusal& refusal);
  /// The same because there are too many connections; counts it as turned away.
  void refuse_over_limit();

  /// No answer follows what is in the output.
  void end() { has_ended_ = true; }
  /// The connection is to be closed when the output is sent.
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  /// It ended because what follows cannot be read as requests. The client may still be sending it.
  [[nodiscard]] bool has_refused() const { return has_refused_; }

  /// What is known of the request whose bytes are at the front of the input.
  [[nodiscard]] const RequestParser& parser() const { return parser_; }
  [[nodiscard]] const Peer& peer() const { return peer_; }
  /// Call when it is known, before the first request.
  void set_certificate(std::string subject) { peer_.certificate = std::move(subject); }

 private:
  /// What an answer needs to know of its request. If the request was refused as HTTP, only what
  /// could be read of it.
  struct Asked {
    std::string_view method = {};
    std::string_view path = {};
    bool to_head = false;
    bool keep_alive = false;
    bool is_http_1_0 = false;
  };
  /// The request that waits for its answer. It has left the input.
  struct Waiting {
    std::string method;  // for the access hook, if there is one
    std::string path;
    Asked asked;
    SteadyClock::time_point began;
  };

  bool answer_probe();
  [[nodiscard]] bool is_probe(const Request& request) const;
  void answer_request();
  [[nodiscard]] bool answer_early();
  [[nodiscard]] Asked asked();
  void begin_waiting(std::unique_ptr<PendingAnswer> answer, const Asked& asked);
  void begin_stream(Response& response, const Asked& asked);
  void append_answer(Response& response, const Asked& asked, bool nothing_unread);
  void append_refusal(Response& response, const Asked& asked);
  void refuse(const Refusal& refusal, const Asked& asked);
  void append(Response& response, const Asked& asked, ConnectionField connection);

  Worker& worker_;
  Connection& connection_;
  InputBuffer& input_;
  Output& output_;
  Peer peer_;
  RequestParser parser_;
  SteadyClock::time_point round_began_ = SteadyClock::now();
  std::array<std::uint8_t, call_count> answered_{};  // in this round
  std::unique_ptr<PendingAnswer> pending_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Waiting> waiting_;
  SteadyClock::time_point waiting_began_;  // of the last one that waited
  bool is_streaming_ = false;
  bool is_round_full_ = false;
  bool has_ended_ = false;
  bool has_refused_ = false;
  const bool within_limit_;
};

}  // namespace locker::server
