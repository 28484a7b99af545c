// The parser that all conversions share. Its own type keeps simdjson out of the headers of those
// who convert.
#pragma once

#include <memory>

namespace balancer::wire::convert {

// Owns the parser's tables and two buffers, which grow with the texts and are given up behind a huge
// one. One per worker; a conversion that holds a reference uses it only inside of a call. Not
// thread-safe.
class JsonReader {
  public:
    JsonReader();
    ~JsonReader();

    struct Walk;  // json_walk.hpp
    Walk& walk() { return *walk_; }

  private:
    std::unique_ptr<Walk> walk_;
};

}  // namespace balancer::wire::convert
