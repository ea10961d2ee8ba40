# What the window shows of the engine's build (sourced by setup.sh): engine-build.json in the build folder, one object, replaced
# as a whole; its words are those of ui/session/engine_build_file.h. Function: tell STATE [DONE TOTAL [MESSAGE]].

telling=            # set while this process builds the engine
last_told=

json_text() { printf '%s' "$1" | tr -d '\000-\037' | cut -c1-300 | sed 's/[\\"]/\\&/g'; }

tell() {
  [ -n "$telling" ] && [ -d "$build" ] || return 0
  local now="$1 ${2:-0} ${3:-0}"
  [ "$now" != "$last_told" ] || return 0
  # Not more often than once a second while only the count grows.
  if [ "${now%% *}" = "${last_told%% *}" ] && [ "${told_at:-}" = "$SECONDS" ]; then return 0; fi
  last_told=$now told_at=$SECONDS
  local file=$PWD/$build/engine-build.json
  printf '{"state":"%s","done":%d,"total":%d,"message":"%s","log":"%s","pid":%d,"pid_start":"%s","boot":"%s","again":["%s","setup","--engine","--background"]}\n' \
    "$1" "${2:-0}" "${3:-0}" "$(json_text "${4:-}")" "$(json_text "$PWD/$build/engine-build.log")" "$$" "$(process_field $$ 20)" \
    "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)" "$(json_text "$PWD/batchscope")" >"$file.$$" && mv -f "$file.$$" "$file" || true  # a full disk must not end the set-up here
}

# Fields of /proc/PID/stat behind the name: 1 is the state, 4 the session, 20 the start time, which with pid and boot id names a process for good.
process_field() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }

state_value() { sed -nE "s/.*\"$1\":\"?([^\",}]*)\"?[,}].*/\1/p" "$build/engine-build.json" 2>/dev/null; }

# The process that builds the engine, or nothing.
live_builder() {
  local pid
  case "$(state_value state)" in waiting|packages|fetching|configuring|building) ;; *) return 0 ;; esac
  pid=$(state_value pid)
  # A dead process that nobody has waited for keeps its entry.
  if [ -n "$pid" ] && [ "$pid" != "$$" ] && [ "$(process_field "$pid" 1)" != Z ] && [ "$(process_field "$pid" 20)" = "$(state_value pid_start)" ]; then printf '%s\n' "$pid"; fi
}

# Stops what builds in the background (a session of its own), since a person waits for the same at the terminal: ninja keeps
# what is done. What builds at another terminal is left alone.
stop_background() {
  local pid
  pid=$(live_builder)
  [ -n "$pid" ] && [ "$(process_field "$pid" 4)" = "$pid" ] || return 0
  kill -TERM -- "-$pid" 2>/dev/null || true
  while kill -0 -- "-$pid" 2>/dev/null; do sleep 0.1; done
}
