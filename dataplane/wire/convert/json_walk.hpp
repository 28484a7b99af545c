// Reading JSON from its front to its end, each value at most once, with simdjson. For the sources
// of this folder only.
//
// What is kept of a text are views into it. A problem is sticky: after the first one nothing more
// is read, all further calls give nothing, and the last one (`read_object`, `read_one`) reports it.
// Members are visited and never looked up: a look-up behind malformed JSON crashes in simdjson.
#pragma once

#include <simdjson.h>

#ifdef SIMDJSON_DEVELOPMENT_CHECKS
#error "simdjson lays its types out otherwise where nothing is optimised: compile this with -O1, as the library is"
#endif

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "dataplane/wire/convert/json_reader.hpp"
#include "dataplane/wire/convert/place.hpp"

namespace balancer::wire::convert {

namespace ondemand = simdjson::ondemand;
using Value = ondemand::value;

enum class JsonKind { kObject, kArray, kString, kNumber, kBool, kNull };

struct JsonReader::Walk {
    // each(std::string_view name, Value value), name as it is written. `text` has kBodyPadding
    // readable bytes behind it, and the views that are kept point into it.
    template <class Each>
    Result<void> read_object(std::string_view text, Each&& each) {
        ondemand::object root;
        if (open_object(text, root)) visit_members(root, each);
        return close();
    }

    // The same for a text without padding: a copy is read, and lives until the next one is made.
    template <class Each>
    Result<void> read_object_copy(std::string_view text, Each&& each) {
        return read_object(copy(text), each);
    }

    // One value of any kind, the whole text; `raw` is a view of a copy.
    bool read_one(std::string_view text, JsonKind& kind, std::string_view& raw);

    JsonKind kind(Value& value);

    // Nothing for values of other kinds.
    template <class Each>
    void members(Value& value, Each&& each) {
        ondemand::object object;
        if (kind(value) != JsonKind::kObject || fails(value.get_object().get(object))) return;
        Level level(*this);
        visit_members(object, each);
    }
    template <class Each>
    void elements(Value& value, Each&& each) {
        ondemand::array array;
        if (kind(value) != JsonKind::kArray || fails(value.get_array().get(array))) return;
        Level level(*this);
        std::size_t index = 0;
        for (auto result : array) {
            Value element;
            if (failed() || fails(std::move(result).get(element))) return;
            each(index++, element);
            if (failed()) return;
        }
    }

    // The value's bytes, checked down to its last scalar; empty after a problem.
    std::string_view raw(Value& value);
    // From `begin`, the first byte of an object or array that has just been walked through, to its
    // end.
    std::string_view text_since(const char* begin);
    // The inside of a string; empty for other kinds.
    std::string_view string(Value& value);
    bool is_true(Value& value) { return raw_scalar(value) == "true"; }
    // 0 for what is not a whole number of this size.
    std::uint64_t count(Value& value);

    // Bytes of text for which there is memory: of the tables, and of the copies together.
    std::size_t capacity() const {
        return parser_.capacity() + copy_.capacity() + wrapped_.capacity();
    }

    bool failed() const { return failed_; }
    // A problem of meaning, in the words of the API: "messages.0.role: Field required".
    void refuse(const Place& place, std::string_view why);
    void refuse(Error error);

  private:
    friend class JsonReader;
    static constexpr int kLevelsMax = 256;

    // Counts how deep we are: the recursion is ours, simdjson does not bound it.
    struct Level {
        explicit Level(Walk& w) : walk(w) {
            if (++walk.levels_ > kLevelsMax) walk.refuse(invalid("The body is nested too deeply"));
        }
        ~Level() { --walk.levels_; }
        Walk& walk;
    };

    template <class Each>
    void visit_members(ondemand::object& object, Each&& each) {
        for (auto result : object) {
            ondemand::field field;
            if (failed() || fails(std::move(result).get(field))) return;
            std::string_view name = name_of(field);
            Value value = field.value();
            each(name, value);
            if (failed()) return;
        }
    }

    std::string_view copy(std::string_view text);
    bool open_object(std::string_view text, ondemand::object& root);
    Result<void> close();
    bool fails(simdjson::error_code code);
    std::string_view name_of(ondemand::field& field);
    std::string_view raw_scalar(Value& value);

    ondemand::parser parser_;
    ondemand::document document_;
    std::string copy_;
    std::string wrapped_;
    int levels_ = 0;
    bool failed_ = false;
    Error error_;
};

}  // namespace balancer::wire::convert
