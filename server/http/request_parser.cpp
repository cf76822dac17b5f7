#include "server/http/request_parser.hpp"

#include <cstring>

#include "server/http/request_refusals.hpp"

namespace locker::server {
namespace {

/// Other protocols (TLS, SSH, Redis) would otherwise be refused only after the timeout.
bool can_begin_a_request(std::string_view line) {
  return line.empty() || line.front() == '\r' || (line.front() > ' ' && line.front() < '\x7f');
}

bool can_be_a_request_line(std::string_view line) {
  constexpr std::string_view version = " HTTP/1.1";
  return can_begin_a_request(line) && line.size() > version.size() &&
         line.substr(line.size() - version.size()).starts_with(" HTTP/");
}

}  // namespace

RequestParser::Outcome RequestParser::parse(std::string_view bytes) {
  const bool was_parsed = header_size_ != 0;
  has_new_header_ = false;
  if (!was_parsed) {
    if (bytes.starts_with("\r\n")) {
      if (++empty_lines_ > limits_.empty_lines_max) return refuse(empty_lines);
      scanned_ = 0;  // its first byte may have come alone
      whole_size_ = 2;
      return Outcome::empty_line;
    }
    if (const Outcome outcome = find_header_end(bytes); outcome != Outcome::complete) {
      return outcome;
    }
    if (!read_header(bytes.substr(0, header_size_))) return Outcome::refused;
    has_new_header_ = true;
  }
  if (header_.is_chunked) {
    if (const Outcome outcome = find_chunks_end(bytes); outcome != Outcome::complete) {
      return outcome;
    }
  }
  if (bytes.size() < whole_size_) return Outcome::incomplete;
  // The buffer may have moved since; reading the header again is simpler than adjusting the views.
  if (was_parsed && !read_header(bytes.substr(0, header_size_))) return Outcome::refused;
  const std::string_view body = bytes.substr(header_size_, whole_size_ - header_size_);
  header_.request.body = header_.is_chunked ? chunked_body_.join(body) : body;
  return Outcome::complete;
}

RequestParser::Outcome RequestParser::find_chunks_end(std::string_view bytes) {
  switch (chunked_body_.find_end(bytes.substr(header_size_), body_max_)) {
    case ChunkedBody::Outcome::incomplete:
      return Outcome::incomplete;
    case ChunkedBody::Outcome::too_large:
      return refuse(refusal_of_body());
    case ChunkedBody::Outcome::bad:
      return refuse(bad_chunk);
    case ChunkedBody::Outcome::whole:
      whole_size_ = header_size_ + chunked_body_.size();
      return Outcome::complete;
  }
  return refuse(bad_chunk);
}

RequestParser::Outcome RequestParser::find_header_end(std::string_view bytes) {
  const std::string_view allowed = bytes.substr(0, limits_.header_max);
  while (true) {
    const void* const found =
        scanned_ == allowed.size()
            ? nullptr
            : std::memchr(allowed.data() + scanned_, '\n', allowed.size() - scanned_);
    if (found == nullptr) {
      if (!can_begin_a_request(allowed)) return refuse(bad_syntax);
      scanned_ = allowed.size();
      if (allowed.size() < limits_.header_max) return Outcome::incomplete;
      return refuse(lines_ == 0 ? target_too_long : header_too_large);
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - allowed.data());
    if (end == line_start_ || allowed[end - 1] != '\r') return refuse(bad_line_end);
    scanned_ = end + 1;
    if (end - 1 == line_start_) {
      header_size_ = scanned_;
      return Outcome::complete;
    }
    if (lines_ == 0 && !can_be_a_request_line(allowed.substr(0, end - 1))) {
      return refuse(bad_syntax);
    }
    const char first = allowed[line_start_];
    if (lines_ > 0 && (first == ' ' || first == '\t')) return refuse(folded_line);
    if (++lines_ > limits_.fields_max + 1) return refuse(header_too_large);
    line_start_ = scanned_;
  }
}

bool RequestParser::read_header(std::string_view bytes) {
  refusal_ = parse_header(bytes, limits_, header_);
  if (refusal_ == nullptr) refusal_ = judge_body();
  return refusal_ == nullptr;
}

const Refusal* RequestParser::judge_body() {
  body_max_ = find_body_max();
  if (header_.content_length > body_max_) return &refusal_of_body();
  whole_size_ = header_size_ + chunked_body_.size() + header_.content_length;
  return nullptr;
}

std::size_t RequestParser::find_body_max() const {
  const Request& request = header_.request;
  if (request.method == Method::get || request.method == Method::head ||
      request.method == Method::delete_) {
    return 0;
  }
  const bool is_small = !header_.is_chunked && header_.content_length <= limits_.body_max;
  if (is_small) return limits_.body_max;
  const Treatment treatment = handler_.treatment_of(request.method, request.target);
  return treatment.has_large_body ? limits_.large_body_max : limits_.body_max;
}

const Refusal& RequestParser::refusal_of_body() const {
  if (body_max_ == 0) return unwanted_body;
  return body_max_ > limits_.body_max ? large_body_too_large : body_too_large;
}

RequestParser::Outcome RequestParser::refuse(const Refusal& refusal) {
  refusal_ = &refusal;
  return Outcome::refused;
}

bool RequestParser::take_continue() {
  if (!awaits_body() || !header_.wants_continue || told_continue_) return false;
  told_continue_ = true;
  return true;
}

void RequestParser::next() {
  scanned_ = line_start_ = lines_ = header_size_ = whole_size_ = empty_lines_ = 0;
  chunked_body_.reset();
  told_continue_ = false;
}

}  // namespace locker::server
