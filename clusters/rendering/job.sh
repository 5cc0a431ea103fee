say() { echo "$(date '+%F %T') $*"; }
fail() {
  say "$*"
  echo 1 >"$folder/ended"
  exit 1
}

# The address by which Slurm itself reaches a node is one by which the nodes reach each other.
address_of() {
  getent ahostsv4 "$(scontrol show node "$1" | sed -n 's/.*NodeAddr=\([^ ]*\).*/\1/p')" | sed -n '1s/ .*//p'
}

# Starts `ray start` on a node, as a step of its own that lasts until it gets SIGUSR1.
on_node() {
  local node=$1
  shift
  exec srun --overlap --export=ALL --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$node" \
    bash -c "$(declare -f setup); setup; exec python -m fullspectrum.clusters.batch.raynode \"\$@\"" bash "$@"
}

mkdir -p "$folder"
rm -f "$folder/ended"
say "job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, begun for the $((${SLURM_RESTART_COUNT:-0} + 1)). time"
setup
command -v python >/dev/null || fail "there is no python on this node: [slurm] setup has to bring it into the PATH"
if [ -e "$folder/secrets" ]; then
  # shellcheck source=/dev/null
  . "$folder/secrets"
fi

# Ray's processes and clients ask each other for a token, which nobody else can read.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$folder/token"
rm -f "$RAY_AUTH_TOKEN_PATH"
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$RAY_AUTH_TOKEN_PATH") ||
  fail "cannot write $RAY_AUTH_TOKEN_PATH"

# The job's batch step, and so the driver, is on this node. No port is one that another job of it may have.
head=$SLURMD_NODENAME
head_address=$(address_of "$head")
port=$(python -m fullspectrum.clusters.batch.freeport "$SLURM_JOB_ID")
[ -n "$head_address" ] && [ -n "$port" ] || fail "no address of $head, or no free port on it, was found"
export RAY_ADDRESS="$head_address:$port"
node_options=(--block --disable-usage-stats --dashboard-agent-listen-port=0 --min-worker-port=0 --max-worker-port=0)
node_options+=("${memory_options[@]}")

on_node "$head" ray start --head --port="$port" --node-ip-address="$head_address" --include-dashboard=false \
  --no-monitor --ray-client-server-port=$((port + 1)) --num-cpus="$head_cpus" --num-gpus="$head_gpus" "${node_options[@]}" &
steps=($!)
for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
  if [ "$node" != "$head" ]; then
    on_node "$node" ray start --address="$RAY_ADDRESS" --node-ip-address="$(address_of "$node")" \
      --num-cpus="$cpus" --num-gpus="$gpus" "${node_options[@]}" &
    steps+=($!)
  fi
done

# SIGTERM asks the search to save its work and leave: before the deadline, from `stop`, or as Slurm takes the job away.
child=''
leaving=''
# shellcheck disable=SC2329
leave() {
  leaving=yes
  say "SIGTERM: the search has $grace s to leave"
  [ -z "$child" ] || kill -TERM "$child"
}
trap leave TERM

# Runs a command to its end, and passes SIGTERM on to it: a signal ends the wait, and not the command.
attend() {
  local waited status=143
  [ -z "$leaving" ] || return 143
  "$@" &
  child=$!
  while
    before=$leaving
    wait "$child"
    waited=$?
    [ "$waited" -eq 127 ] || status=$waited
    [ "$before" != "$leaving" ]
  do :; done
  child=''
  return "$status"
}

cd "$work" || fail "cannot enter $work"
if attend python -m fullspectrum.clusters.batch.assembly "$SLURM_JOB_NUM_NODES" 300 "${steps[0]}"; then
  attend "${command[@]}"
  status=$?
else
  status=1
  [ -z "$leaving" ] || status=143
fi

# Where Ray's head has gone, the search could not go on here; begun again, it does.
if [ "$status" -eq 1 ] && ! kill -0 "${steps[0]}" 2>/dev/null && [ "${SLURM_RESTART_COUNT:-0}" -lt "$retries" ]; then
  say "Ray's head is gone; the job is put back into the queue"
  scontrol requeue "$SLURM_JOB_ID" && exec sleep 600
fi
kill -USR1 "${steps[@]}" 2>/dev/null
wait "${steps[@]}"
rm -f "$folder/token"
# After SIGTERM Slurm may begin the job again.
[ "$status" -eq 143 ] || rm -f "$folder/secrets"
say "the search ended with status $status"
echo "$status" >"$folder/ended"
exit "$status"
