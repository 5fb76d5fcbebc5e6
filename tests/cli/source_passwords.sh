# Passwords with every printable ASCII character and with UTF-8: percent-encoded, raw in PGPASSWORD, raw where a URL allows it.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
new_role app
sql "GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE ON SCHEMA public TO $ROLE"
admin=$URL
address=${URL#*@}
encode() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""), end="")' "$1"; }

# works PASSWORD HOW...: set on the server, and used in each of these ways.
works() {
  local password=$1 how
  shift
  URL=$admin
  sql "ALTER ROLE $ROLE PASSWORD '${password//\'/\'\'}'"
  for how in "$@"; do
    ENV=() URL=
    case $how in
      encoded) ENV=(DATABASE_URL="postgresql://$ROLE:$(encode "$password")@$address") ;;
      variable) ENV=(DATABASE_URL="postgresql://$ROLE@$address" PGPASSWORD="$password") ;;
      pairs)
        local quoted=${password//\\/\\\\}
        ENV=(DATABASE_URL="host=${address%%:*} port=$(cut -d: -f2 <<<"${address%/*}") dbname=$DB user=$ROLE password='${quoted//\'/\\\'}'")
        ;;
      raw) ENV=(DATABASE_URL="postgresql://$ROLE:$password@$address") ;;
    esac
    run up --auth-wait 0
    [[ $code == 0 ]] || fail "password <$password> $how: exit code $code"
  done
}
all=$(printf '%b' "$(printf '\\x%02x' {32..126})")
((${#all} == 95)) || fail "not every printable character: $all"
works "$all" encoded variable pairs
works 'ünïcødé-пароль-密码-🔑' encoded variable pairs raw
# Raw: everything but a '?' and a '%' before two hexadecimal digits; no blanks at the ends of the URL to worry about.
raw=${all//\?/}
works "$raw" raw
# shellcheck disable=SC2016 # meant as they are
for password in 'a@b' 'a/b@c' 'a:b' 'a#b' '100%' '%zz' 'a@b:5432/c' 'ü@ß' "it's" 'a b' '[x]' '"q"' 'a,b' '$HOME' '`id`' 'a\b' '&x=y'; do
  works "$password" raw
done
ENV=(DATABASE_URL="postgresql://$ROLE:a?b@$address") URL=
run up --auth-wait 0
expect_code 10
expect_err "hint.*'\?' in the password makes the URL ambiguous: write it as %3F"
