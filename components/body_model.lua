-- Which model a request asks for, out of its body: `model` of the outermost object, as a header that routes are matched by.
-- Runs in Envoy (LuaJIT) on the paths below /v1 alone. No word of the body is kept or logged.
-- `origin` is taken away: by it the route was found on which Envoy looked up what pages may do, and that leads nowhere.

local HEADER = "x-vp-model"
local MOST = 128
-- Quotes and brackets that are looked at. A worker of Envoy does nothing else meanwhile: a second for 20 MB of brackets alone.
local MOST_MARKS = 2000000
local QUOTE, SLASH = 34, 92
-- Of the route. Envoy Gateway tries a script first, with a method of no name, and does not know of clearRouteCache.
local METHODS = { GET = true, OPTIONS = true, POST = true }

-- Where the string ends that begins with the quote at `from`, and how many quotes were in it; nil where it does not end within `most`.
local function string_end(text, from, most)
  local at = from + 1
  for quotes = 0, most do
    local quote = string.find(text, '"', at, true)
    if quote == nil then
      return nil
    end
    local before = quote - 1
    while string.byte(text, before) == SLASH do
      before = before - 1
    end
    if (quote - before) % 2 == 1 then
      return quote, quotes
    end
    at = quote + 1
  end
end

-- The value of `model`, or nil: where there is none, where it is no plain text, and where the text is no object.
local function model_of(text)
  local at = string.find(text, "%S")
  if at == nil or string.sub(text, at, at) ~= "{" then
    return nil
  end
  local depth, key, is_value, left = 0, nil, false, MOST_MARKS
  while left > 0 do
    -- What separates values matters in the outermost object alone: a list of tokens has as many commas.
    at = string.find(text, depth == 1 and '["{}%[%]:,]' or '["{}%[%]]', at)
    if at == nil then
      return nil
    end
    left = left - 1
    local mark = string.byte(text, at)
    if mark == QUOTE then
      local last, quotes = string_end(text, at, left)
      if last == nil then
        return nil
      end
      left = left - quotes
      if depth == 1 then
        local word = string.sub(text, at + 1, last - 1)
        if not is_value then
          key = word
        elseif key == "model" then
          return word
        end
      end
      at = last
    elseif mark == 123 or mark == 91 then
      depth = depth + 1
    elseif mark == 125 or mark == 93 then
      depth = depth - 1
    elseif depth == 1 then
      is_value = mark == 58
    end
    at = at + 1
  end
end

function envoy_on_request(handle)
  local method = handle:headers():get(":method")
  if not METHODS[method] then
    return
  end
  handle:headers():remove("origin")
  local body = nil
  if method == "POST" then
    body = handle:body()
  end
  local name = body and model_of(body:getBytes(0, body:length()))
  if name ~= nil and #name <= MOST and string.find(name, "^[%w._-]+$") then
    handle:headers():replace(HEADER, name)
  end
  handle:clearRouteCache()
end
