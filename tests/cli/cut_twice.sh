# The connection breaks again while the runner finds out how far it got, or goes on: no other end than after one cut.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
prepare_cuts
choose client 89 17 13
allowed='0 33'
for i in "${!places[@]}"; do
  read -r side when number <<<"${places[i]}"
  cut_at "$side $when $number" fin "client before $((number + 1 + i * 37 % 90))" rst
done
tell 'two cuts'
