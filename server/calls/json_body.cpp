#include "server/calls/json_body.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>

namespace locker::server {
namespace {

namespace json = boost::json;
using core::Fault;
using ErrorCode = boost::json::error_code;
using Text = boost::json::string_view;

/// Builds the value as Boost's own parsers do, and also detects duplicate member names, of which
/// Boost's parsers keep the last.
class Builder {
 public:
  // No call needs more; larger input is refused before it takes memory.
  static constexpr std::size_t max_object_size = 64;
  static constexpr std::size_t max_array_size = 256;
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  Builder() { values_.reset(); }
  [[nodiscard]] json::value release() { return values_.release(); }
  /// Whether an object has two members with the same name.
  [[nodiscard]] bool has_twins() const { return has_twins_; }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode&) { return true; }
  bool on_object_end(std::size_t size, ErrorCode& error) {
    const auto first = names_.end() - static_cast<std::ptrdiff_t>(size);
    std::sort(first, names_.end());
    has_twins_ = std::adjacent_find(first, names_.end()) != names_.end();
    if (has_twins_) {
      error = json::error::syntax;
      return false;
    }
    names_.erase(first, names_.end());
    values_.push_object(size);
    return true;
  }
  bool on_array_begin(ErrorCode&) { return true; }
  bool on_array_end(std::size_t size, ErrorCode&) {
    values_.push_array(size);
    return true;
  }
  bool on_key_part(Text text, std::size_t, ErrorCode&) {
    name_.append(text.data(), text.size());
    values_.push_chars(text);
    return true;
  }
  bool on_key(Text text, std::size_t, ErrorCode&) {
    name_.append(text.data(), text.size());
    names_.push_back(std::exchange(name_, {}));
    values_.push_key(text);
    return true;
  }
  bool on_string_part(Text text, std::size_t, ErrorCode&) {
    values_.push_chars(text);
    return true;
  }
  bool on_string(Text text, std::size_t, ErrorCode&) {
    values_.push_string(text);
    return true;
  }
  bool on_number_part(Text, ErrorCode&) { return true; }
  bool on_int64(std::int64_t number, Text, ErrorCode&) {
    values_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, Text, ErrorCode&) {
    values_.push_uint64(number);
    return true;
  }
  bool on_double(double number, Text, ErrorCode&) {
    values_.push_double(number);
    return true;
  }
  bool on_bool(bool value, ErrorCode&) {
    values_.push_bool(value);
    return true;
  }
  bool on_null(ErrorCode&) {
    values_.push_null();
    return true;
  }
  bool on_comment_part(Text, ErrorCode&) { return true; }
  bool on_comment(Text, ErrorCode&) { return true; }

 private:
  json::value_stack values_;
  std::string name_;                // of the current member, so far
  std::vector<std::string> names_;  // of the members of all open objects
  bool has_twins_ = false;
};

std::string sentence_for(const Builder& builder, const ErrorCode& error) {
  if (builder.has_twins()) return "The body names a parameter twice; give each once.";
  if (error == json::error::object_too_large) {
    return "An object in the body has too many members; see the API's description.";
  }
  if (error == json::error::array_too_large) {
    return "A list in the body is too long; at most 256 locks can be acquired at once.";
  }
  return "The body is not valid JSON: " + error.message() + ".";
}

}  // namespace

std::optional<Fault> read_json_object(const Request& request, json::object& object) {
  object.clear();
  if (request.body.empty()) return std::nullopt;
  json::parse_options options;
  options.max_depth = 16;
  json::basic_parser<Builder> parser{options};
  ErrorCode error;
  const std::size_t read =
      parser.write_some(false, request.body.data(), request.body.size(), error);
  if (!error && read < request.body.size()) error = json::error::extra_data;
  if (error) return Fault{sentence_for(parser.handler(), error)};
  json::value value = parser.handler().release();
  if (!value.is_object()) return Fault{"The body must be a JSON object with the parameters."};
  object = std::move(value.get_object());
  return std::nullopt;
}

}  // namespace locker::server
