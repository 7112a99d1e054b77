#!/bin/sh
# Programs of macOS, as far as those who call them can tell: each notes what it was told, and answers out of what it was told before.
place=/.emulator
box=$place/busybox
name=${0##*/}
state=$place/state
printf '%s\n' "$name $*" >> $place/told

root() {
  [ "$($box id -u)" != 0 ] || return 0
  echo "** Error: Command requires admin privileges." >&2
  exit 14
}
keep() { (umask 022 && $box mkdir -p $state && printf '%s\n' "$2" > "$state/$1"); }
kept() { $box cat "$state/$1" 2>/dev/null; }
lease() { $box sed -n "s/^$1=//p" $place/lease.env 2>/dev/null; }
known() {
  [ "$1" = Ethernet ] && return 0
  echo "$1 is not a recognized network service." >&2
  echo "** Error: The parameters were not valid." >&2
  exit 4
}
proxy() {
  server=$(kept "$1") && [ -n "$server" ] || server='off  0'
  # shellcheck disable=SC2086
  set -- $server
  if [ "$1" = on ]; then echo "Enabled: Yes"; else echo "Enabled: No"; fi
  if [ $# = 3 ]; then printf 'Server: %s\nPort: %s\n' "$2" "$3"; else printf 'Server: \nPort: 0\n'; fi
  echo "Authenticated Proxy Enabled: 0"
}

network() {
  what=$1
  shift
  case $what in
    -listallnetworkservices) printf '%s\n%s\n' 'An asterisk (*) denotes that a network service is disabled.' Ethernet ;;
    -listallhardwareports) printf '\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: %s\n' "$($box cat /sys/class/net/en0/address)" ;;
    -setwebproxy | -setsecurewebproxy | -setsocksfirewallproxy) known "$1" && root && keep "${what#-set}" "on $2 $3" ;;
    -setwebproxystate | -setsecurewebproxystate | -setsocksfirewallproxystate)
      known "$1" && root
      key=${what#-set}
      key=${key%state}
      old=$(kept "$key")
      keep "$key" "$2 ${old#* }"
      ;;
    -getwebproxy | -getsecurewebproxy | -getsocksfirewallproxy) known "$1" && proxy "${what#-get}" ;;
    -setproxybypassdomains | -setdnsservers | -setsearchdomains)
      known "$1" && root
      shift
      keep "${what#-set}" "$*"
      ;;
    -getproxybypassdomains | -getdnsservers | -getsearchdomains)
      known "$1"
      list=$(kept "${what#-get}")
      if [ -n "$list" ] && [ "$list" != Empty ]; then for item in $list; do echo "$item"; done
      else echo "There aren't any ${what#-get} set on $1."; fi
      ;;
    -setautoproxyurl) known "$1" && root && keep autoproxyurl "$2" ;;
    -setautoproxystate) known "$1" && root && { [ "$2" = on ] || keep autoproxyurl ''; } ;;
    -getautoproxyurl)
      known "$1"
      url=$(kept autoproxyurl)
      printf 'URL: %s\nEnabled: %s\n' "${url:-(null)}" "$([ -n "$url" ] && echo Yes || echo No)"
      ;;
    *) echo "not emulated: networksetup $what" >&2 && exit 70 ;;
  esac
}

interface() {
  mtu=$($box cat "/sys/class/net/$1/mtu")
  echo "$2: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu $mtu"
  [ "$1" = lo ] || printf '\tether %s\n' "$($box cat "/sys/class/net/$1/address")"
  $box ip -o addr show dev "$1" | $box sed -n 's|.*\(inet6\{0,1\}\) \([0-9a-f.:]*\)/.*|\t\1 \2|p'
}

cards() {
  case $1 in
    -l) echo 'lo0 en0' && return ;;
    '' | -a) for card in $($box ls /sys/class/net); do interface "$card" "$(its_name "$card")"; done && return ;;
    lo0) real=lo ;;
    *) real=$1 ;;
  esac
  [ -e "/sys/class/net/$real" ] || { echo "ifconfig: interface $1 does not exist" >&2 && exit 1; }
  case "$2 $4" in
    ' ') interface "$real" "$1" ;;
    'alias 255.255.255.255') root_only && $box ip addr add "$3/32" dev "$real" ;;
    '-alias ') root_only && $box ip addr del "$3/32" dev "$real" ;;
    *) echo "not emulated: ifconfig $*" >&2 && exit 70 ;;
  esac
}
its_name() { if [ "$1" = lo ]; then echo lo0; else echo "$1"; fi; }
root_only() {
  [ "$($box id -u)" = 0 ] || { echo "$name: must be root" >&2 && exit 1; }
}

route_to() {
  case "$1 $2 $3 $5" in
    '-n get '*) printf '   route to: %s\n    gateway: %s\n  interface: en0\n' "$3" "$(lease router)" ;;
    '-n add -host -interface') root_only && $box ip route add "$4/32" dev "$6" ;;
    '-n delete -host -interface') root_only && $box ip route del "$4/32" dev "$6" ;;
    *) echo "not emulated: route $*" >&2 && exit 70 ;;
  esac
}

# As `netstat` tells them: a route without a next hop has its card as a number.
routes() {
  # shellcheck disable=SC2086
  $box ip $1 route | while read -r to rest; do
    hop='link#4' card=en0
    # shellcheck disable=SC2086
    set -- $rest
    while [ $# -gt 1 ]; do
      case $1 in via) hop=$2 ;; dev) card=$2 ;; esac
      shift
    done
    echo "$to $hop UGSc $(its_name "$card")"
  done
}

# As the system's own resolver goes about it: a file for the domain, else what was set for all names.
resolve() {
  file=
  for one in /etc/resolver/*; do
    case .$1 in *".${one##*/}") file=$one ;; esac
  done
  if [ -n "$file" ]; then
    server=$($box sed -n 's/^nameserver //p' "$file") port=$($box sed -n 's/^port //p' "$file")
  else
    server=$(kept scutil | $box sed -n 's/^d.add ServerAddresses \* //p') port=$(kept scutil | $box sed -n 's/^d.add ServerPort # //p')
  fi
  [ -n "$server" ] || return 1
  $box nslookup -type=a -port="${port:-53}" "$1" "$server" | $box sed -n '/^Name:/,$s/^Address: /ip_address: /p'
}

case $name in
  dscacheutil)
    [ "$1 $2 $3 $4" = '-q host -a name' ] || exit 0
    printf 'name: %s\n' "$5"
    resolve "$5"
    ;;
  networksetup) network "$@" ;;
  scutil)
    case $1 in
      --proxy)
        set -- "$(kept webproxy)" "$(kept securewebproxy)"
        printf '<dictionary> {\n  HTTPEnable : %s\n  HTTPSEnable : %s\n}\n' "$([ -n "$1" ] && echo 1 || echo 0)" "$([ -n "$2" ] && echo 1 || echo 0)"
        ;;
      --dns) printf 'DNS configuration\n\nresolver #1\n' && $box sed -n 's/^nameserver /  nameserver[0] : /p' /etc/resolv.conf ;;
      '')
        # Also whoever may not change anything ends well.
        text=$($box cat)
        printf '%s\n' "$text" | $box sed 's/^/scutil< /' >> $place/told
        [ "$($box id -u)" != 0 ] || keep scutil "$text"
        case $text in *show*) kept scutil ;; esac
        ;;
      *) echo "not emulated: scutil $1" >&2 && exit 70 ;;
    esac
    ;;
  sw_vers)
    case $1 in
      -productVersion | --productVersion) echo 26.0 ;;
      -productName | --productName) echo macOS ;;
      -buildVersion | --buildVersion) echo 25A354 ;;
      *) printf 'ProductName:\t\tmacOS\nProductVersion:\t\t26.0\nBuildVersion:\t\t25A354\n' ;;
    esac
    ;;
  uname)
    case $1 in
      '' | -s) echo Darwin ;;
      -m | -p) echo arm64 ;;
      -r) echo 25.0.0 ;;
      -n) $box hostname ;;
      *) echo "Darwin $($box hostname) 25.0.0 Darwin Kernel Version 25.0.0 arm64" ;;
    esac
    ;;
  ifconfig) cards "$@" ;;
  ipconfig)
    case $1 in
      getifaddr) value=$(lease ip) ;;
      getoption)
        case $3 in
          router) value=$(lease router) ;;
          subnet_mask) value=$(lease subnet) ;;
          domain_name_server) value=$(lease dns) ;;
          server_identifier) value=$(lease serverid) ;;
          252 | proxy_auto_discovery_url) value=$(lease wpad) ;;
          *) value= ;;
        esac
        ;;
      *) echo "not emulated: ipconfig $1" >&2 && exit 70 ;;
    esac
    [ -n "$value" ] || exit 1
    echo "$value"
    ;;
  route) route_to "$@" ;;
  netstat)
    [ "$*" = -rn ] || { echo "not emulated: netstat $*" >&2 && exit 70; }
    printf 'Routing tables\n\nInternet:\nDestination Gateway Flags Netif Expire\n'
    routes
    printf '\nInternet6:\nDestination Gateway Flags Netif Expire\n'
    routes -6
    ;;
  pbcopy) $box cat > /tmp/.clipboard ;;
  pbpaste) $box cat /tmp/.clipboard 2>/dev/null ;;
  security)
    case $1 in
      add-trusted-cert)
        # Since macOS 11 somebody has to agree at the screen.
        echo 'SecTrustSettingsSetTrustSettings: The authorization was denied since no user interaction was possible.' >&2
        exit 1
        ;;
    esac
    ;;
esac
