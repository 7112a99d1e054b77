# Tries what a guest must not be able to do, from inside a machine that is the guest's own: a file of named attempts in, as many
# lines of answers out, then `end`, in the words of the relay's `probe`. Needs what macOS ships and no more, and runs on Linux
# as well. Attempts called root-... are root's, by sudo, after all others. Decides nothing: the host judges.
#
#   perl probe.pl ATTEMPTS          perl probe.pl --root ATTEMPTS
use strict;
use warnings;
use Cwd ();
use Errno;
use Fcntl qw(O_APPEND O_CREAT O_NONBLOCK O_RDONLY O_RDWR O_TRUNC O_WRONLY F_GETFL F_SETFL);
use POSIX ();
use Socket qw(AF_INET AF_INET6 AF_UNIX SOCK_DGRAM SOCK_RAW SOCK_STREAM SOL_SOCKET SO_ERROR SO_REUSEADDR SOMAXCONN
  inet_aton inet_ntoa inet_ntop inet_pton pack_sockaddr_in pack_sockaddr_in6 pack_sockaddr_un unpack_sockaddr_in);

my ($PROBE_SECONDS, $WAIT, $ANSWER, $AT_ONCE, $MOST) = (10, 2.5, 256, 32, 240);
# Of what one program of the system's prints.
my $OUTPUT = 1 << 20;
# Of one that undoes what it did.
my $ALONE_SECONDS = 30;
# The errors of Linux by number, whatever system this is; ENOSYS says that it could not be tried, ENOKEY that nothing was there.
my %LINUX = (
  EPERM => 1, ENOENT => 2, EIO => 5, ENXIO => 6, EACCES => 13, EBUSY => 16, EXDEV => 18, ENODEV => 19, ENOTDIR => 20,
  EISDIR => 21, EINVAL => 22, ENOSPC => 28, EROFS => 30, ENAMETOOLONG => 36, ENOSYS => 38, EPROTO => 71, ENOTSOCK => 88,
  EPROTOTYPE => 91, EPROTONOSUPPORT => 93, EOPNOTSUPP => 95, EAFNOSUPPORT => 97, EADDRINUSE => 98,
  EADDRNOTAVAIL => 99, ENETDOWN => 100, ENETUNREACH => 101, ECONNRESET => 104, ENOTCONN => 107, ETIMEDOUT => 110,
  ECONNREFUSED => 111, EHOSTDOWN => 112, EHOSTUNREACH => 113, ENOKEY => 126,
);
my $IS_MAC = -x '/usr/bin/sw_vers' && -x '/sbin/ifconfig';
my $program = Cwd::abs_path($0);

sub number_of {
  my ($error) = @_;
  for my $name (keys %LINUX) {
    my $value = Errno->can($name);
    return $LINUX{$name} if $value && $value->() == $error;
  }
  return $LINUX{EIO};
}

sub slurp {
  my ($path, $most) = @_;
  sysopen(my $file, $path, O_RDONLY | O_NONBLOCK) or return undef;
  my $text = '';
  while (length $text < $most) {
    my $got = sysread($file, $text, $most - length $text, length $text);
    last if !$got;
  }
  return $text;
}

sub escaped {
  my ($text) = @_;
  $text =~ s/([^\x20-\x5b\x5d-\x7e])/sprintf '\\x%02x', ord $1/ge;
  return $text;
}

# Runs a program of the system's, bounded, and gives what it printed; undef where it failed.
sub run {
  my @words = @_;
  pipe(my $out, my $in) or return undef;
  my $child = fork;
  return undef if !defined $child;
  if ($child == 0) {
    open STDIN, '<', '/dev/null';
    open STDOUT, '>&', $in;
    open STDERR, '>', '/dev/null';
    alarm 5;
    exec { $words[0] } @words or POSIX::_exit(127);
  }
  close $in;
  my $text = '';
  while (length $text < $OUTPUT && sysread($out, $text, 65536, length $text)) { }
  # Nobody waits for one that has more to say.
  close $out;
  waitpid $child, 0;
  return $? == 0 || length $text >= $OUTPUT ? $text : undef;
}

sub address_bytes {
  my ($text) = @_;
  return $text =~ /:/ ? inet_pton(AF_INET6, $text) : $text =~ /^\d+(?:\.\d+){3}$/ ? inet_aton($text) : undef;
}

sub place {
  my ($address, $port) = @_;
  my $bytes = address_bytes($address);
  return () if !defined $bytes;
  return length $bytes == 4 ? (AF_INET, pack_sockaddr_in($port, $bytes)) : (AF_INET6, pack_sockaddr_in6($port, $bytes));
}

sub nonblocking { fcntl($_[0], F_SETFL, (fcntl($_[0], F_GETFL, 0) || 0) | O_NONBLOCK) }

# Whether it can be read, or with `write` written, before the time is over.
sub ready {
  my ($handle, $seconds, $write) = @_;
  my $bits = '';
  vec($bits, fileno $handle, 1) = 1;
  my $until = time + $seconds;
  while (1) {
    my ($in, $out) = $write ? (undef, $bits) : ($bits, undef);
    my $found = select($in, $out, undef, $seconds);
    return $found > 0 if $found >= 0;
    return 0 if !$!{EINTR} || time >= $until;
  }
}

# A connected socket and 0, or nothing and an error of Linux.
sub dial {
  my ($family, $where, $seconds, $from, $protocol) = @_;
  socket(my $socket, $family, SOCK_STREAM, $protocol || 0) or return (undef, number_of($! + 0));
  nonblocking($socket);
  if (defined $from) { bind($socket, $from) or return (undef, $LINUX{ENOSYS}) }
  return ($socket, 0) if connect $socket, $where;
  my $error = $! + 0;
  return (undef, number_of($error)) if !$!{EINPROGRESS};
  return (undef, $LINUX{ETIMEDOUT}) if !ready($socket, $seconds, 1);
  my $state = unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR) || pack 'i', 0;
  return $state == 0 ? ($socket, 0) : (undef, number_of($state));
}

# `nobody`, `silent` or `answered` with the first line that came.
sub converse {
  my ($address, $port, $bytes) = @_;
  my ($family, $where) = defined $address ? place($address, $port) : ();
  return 'nobody' if !defined $family;
  my ($socket) = dial($family, $where, 3);
  return 'nobody' if !defined $socket;
  while (length $bytes && ready($socket, 1, 1)) {
    my $sent = syswrite $socket, $bytes;
    last if !$sent;
    substr($bytes, 0, $sent) = '';
  }
  my ($heard, $until) = ('', time + 5);
  while (length $heard < $ANSWER && $heard !~ /\n/ && time < $until) {
    next if !ready($socket, 1);
    last if !sysread $socket, $heard, $ANSWER - length $heard, length $heard;
  }
  return 'silent' if $heard eq '';
  $heard =~ s/\n.*//s;
  return 'answered' . ($heard eq '' ? '' : ' ' . escaped($heard));
}

sub resolver {
  my $text = slurp('/etc/resolv.conf', 65536);
  return $1 if defined $text && $text =~ /^nameserver[ \t]+([0-9a-fA-F.:]+)/m;
  $text = $IS_MAC ? run('/usr/sbin/scutil', '--dns') : undef;
  return defined $text && $text =~ /nameserver\[0\] : ([0-9a-fA-F.:]+)/ ? $1 : undef;
}

# As any program of the system's asks.
sub look_up {
  my ($name) = @_;
  my @found = gethostbyname $name;
  return @found ? map { inet_ntoa($_) } grep { length == 4 } @found[4 .. $#found] : ();
}

sub find_place {
  my ($word, $port) = @_;
  return (resolver(), $port) if $word eq 'resolver';
  return ($1 || $2, $3) if $word eq 'proxy' && ($ENV{http_proxy} || '') =~ m{^http://(?:\[([0-9a-f:]+)\]|([0-9.]+)):(\d+)};
  return (scalar((look_up($1))[0]), $port) if $word =~ /^name:(.+)/;
  return ($word, $port);
}

sub question {
  my ($name) = @_;
  return pack('n6', 0x5a4e, 0x0100, 1, 0, 0, 0) . join('', map { pack 'C/a*', $_ } split /\./, $name) . "\0" . pack 'n2', 1, 1;
}

sub skip_name {
  my ($bytes, $at) = @_;
  while ($at < length $bytes) {
    my $size = ord substr $bytes, $at, 1;
    return $at + ($size ? 2 : 1) if !$size || $size >= 0xc0;
    $at += 1 + $size;
  }
  return length($bytes) + 1;
}

sub read_addresses {
  my ($bytes, $at) = @_;
  my @found;
  for (1 .. unpack 'x6 n', $bytes) {
    $at = skip_name($bytes, $at);
    last if $at + 10 > length $bytes;
    my ($type, $size) = unpack "x$at n x6 n", $bytes;
    $at += 10;
    last if $at + $size > length $bytes;
    push @found, inet_ntoa(substr $bytes, $at, 4) if $type == 1 && $size == 4;
    $at += $size;
  }
  return @found;
}

sub ask {
  my ($server, $name) = @_;
  if ($server eq 'system') {
    my @found = look_up($name);
    return ('::', @found ? "answered @found" : $? == 1 ? 'not-found' : 'refused');
  }
  my ($address) = find_place($server, 53);
  return ('::', 'refused') if !defined $address;
  my ($family, $where) = place($address, 53);
  return ('::', 'refused') if !defined $family;
  my $asked = question($name);
  socket(my $socket, $family, SOCK_DGRAM, 0) or return ($address, 'refused');
  connect($socket, $where) && defined send($socket, $asked, 0) or return ($address, 'refused');
  return ($address, 'timeout') if !ready($socket, 4);
  defined recv($socket, my $answer, 4096, 0) or return ($address, 'refused');
  return ($address, 'timeout') if length $answer < length $asked || substr($answer, 0, 2) ne substr($asked, 0, 2);
  my $code = ord(substr $answer, 3, 1) & 15;
  return ($address, $code == 3 ? 'not-found' : 'refused') if $code;
  my @found = read_addresses($answer, length $asked);
  return ($address, @found ? "answered @found" : 'not-found');
}

# Name, addresses and the station's address of each card.
sub cards {
  my (@cards, %by);
  my $add = sub { $by{$_[0]} ||= do { push @cards, { name => $_[0], addresses => [], mac => undef }; $cards[-1] } };
  if (-x '/sbin/ifconfig') {
    my $card;
    for (split /\n/, run('/sbin/ifconfig', '-a') || '') {
      $card = $add->($1) if /^([A-Za-z0-9_.-]+?):? /;
      next if !$card;
      push @{ $card->{addresses} }, lc $1 if /^\s+inet6? (?:addr:)?([0-9a-fA-F.:]+)/;
      $card->{mac} = lc $1 if /^\s+ether ([0-9a-fA-F:]{17})/;
    }
  }
  else {
    my ($ip) = grep { -x } '/sbin/ip', '/usr/sbin/ip', '/bin/ip';
    for (split /\n/, $ip && run($ip, '-o', 'link') || '') {
      next if !/^\d+: ([^:@ ]+)/;
      my $card = $add->($1);
      $card->{mac} = lc $1 if m{link/ether ([0-9a-fA-F:]{17})};
    }
    for (split /\n/, $ip && run($ip, '-o', 'addr') || '') {
      push @{ $add->($1)->{addresses} }, lc $2 if m{^\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)};
    }
  }
  return @cards;
}

sub routes {
  my @found;
  my ($netstat) = grep { -x } '/usr/sbin/netstat';
  if ($IS_MAC && $netstat) {
    my $family = '';
    for (split /\n/, run($netstat, '-rn') || '') {
      $family = $1 ? 6 : 4 if /^Internet(6?):/;
      my @fields = split ' ';
      next if !$family || @fields < 4 || $fields[0] eq 'Destination';
      push @found, "route $family $fields[0] via $fields[1] dev $fields[3]";
    }
    return @found;
  }
  for (split /\n/, slurp('/proc/net/route', 65536) || '') {
    my ($card, $to, $by) = split ' ';
    next if !defined $by || $by !~ /^[0-9A-F]{8}$/;
    push @found, sprintf 'route 4 %s via %s dev %s', (map { inet_ntoa(pack 'V', hex $_) } $to, $by), $card;
  }
  for (split /\n/, slurp('/proc/net/ipv6_route', 65536) || '') {
    my @fields = split ' ';
    next if @fields < 10 || $fields[9] eq 'lo';
    push @found, sprintf 'route 6 %s via %s dev %s', (map { inet_ntop(AF_INET6, pack 'H32', $_) } @fields[0, 4]), $fields[9];
  }
  return @found;
}

# The first card with an address of its own.
sub own_card {
  for my $card (cards()) {
    return $card if defined $card->{mac} && grep { /^\d/ && !/^(?:127\.|169\.254\.)/ } @{ $card->{addresses} };
  }
  return undef;
}

sub try_udp {
  my ($address, $port) = @_;
  my ($family, $where) = place($address, $port);
  return $LINUX{EINVAL} if !defined $family;
  socket(my $socket, $family, SOCK_DGRAM, 0) or return number_of($! + 0);
  connect $socket, $where or return number_of($! + 0);
  defined send($socket, 'sand verify', 0) or return number_of($! + 0);
  return $LINUX{ETIMEDOUT} if !ready($socket, $WAIT);
  return defined recv($socket, my $answer, 4096, 0) ? 0 : number_of($! + 0);
}

sub sum {
  my ($bytes) = @_;
  my $total = 0;
  $total += $_ for unpack 'n*', $bytes . (length($bytes) % 2 ? "\0" : '');
  $total = ($total & 0xffff) + ($total >> 16) while $total > 0xffff;
  return ~$total & 0xffff;
}

# Data in an echo, by a raw socket: only its own echo counts as an answer.
sub root_ping {
  my ($address) = @_;
  my ($family, $where) = place($address, 0);
  return $LINUX{EINVAL} if !defined $family;
  my $is4 = $family == AF_INET;
  socket(my $socket, $family, SOCK_RAW, $is4 ? 1 : 58) or return $LINUX{ENOSYS};
  my $rest = pack('n2', $$ & 0xffff, 1) . 'data to carry out ' x 8;
  my $type = $is4 ? 8 : 128;
  my $echo = pack('C2 n', $type, 0, 0) . $rest;
  # Of IPv6 the kernel sums itself.
  substr($echo, 2, 2) = pack 'n', sum($echo) if $is4;
  defined send($socket, $echo, 0, $where) or return number_of($! + 0);
  my $until = time + 3;
  while (time < $until && ready($socket, 1)) {
    defined recv($socket, my $answer, 4096, 0) or last;
    $answer = substr $answer, (ord($answer) & 15) * 4 if $is4 && length $answer > 20;
    return 0 if length $answer > 8 && ord($answer) == ($is4 ? 0 : 129) && substr($answer, 4) eq $rest;
  }
  return $LINUX{ETIMEDOUT};
}

sub try_unix {
  my ($path) = @_;
  my $where = eval { pack_sockaddr_un($path) } or return $LINUX{ENAMETOOLONG};
  return $LINUX{ENAMETOOLONG} if length $path > 103;
  my (undef, $error) = dial(AF_UNIX, $where, $WAIT);
  return $error;
}

# The layouts of sys/vsock.h and linux/vm_sockets.h.
sub try_vsock {
  my ($context, @ports) = @_;
  my $error = $LINUX{ENODEV};
  for my $port (@ports) {
    my $where = $^O eq 'darwin' ? pack('C2 S L2', 12, 40, 0, $port, $context) : pack('S2 L2 x4', 40, 0, $port, $context);
    (undef, $error) = dial(40, $where, 0.5);
    return 0 if $error == 0;
  }
  return $error;
}

sub vsock_host { return try_vsock(2, 22, 53, 80, 443, 1024, 8080) }

sub vsock_other {
  my $error = $LINUX{ENODEV};
  for my $context (0, 1, 3, 4) {
    $error = try_vsock($context, 1024);
    return 0 if $error == 0;
  }
  return $error;
}

# Serves the word on every address for a while. ENOTCONN where nobody but this guest itself came; 0 where somebody did.
sub serve {
  my ($port, $word) = @_;
  socket(my $server, AF_INET, SOCK_STREAM, 0) or return number_of($! + 0);
  setsockopt $server, SOL_SOCKET, SO_REUSEADDR, 1;
  bind($server, pack_sockaddr_in($port, "\0\0\0\0")) && listen($server, SOMAXCONN) or return number_of($! + 0);
  my ($own) = dial(AF_INET, pack_sockaddr_in($port, inet_aton('127.0.0.1')), 1);
  return $LINUX{EIO} if !defined $own || !ready($server, 1) || !accept(my $near, $server);
  syswrite $near, $word;
  my $heard = '';
  return $LINUX{EIO} if !ready($own, 1) || !sysread($own, $heard, length $word) || $heard ne $word;
  return $LINUX{ENOTCONN} if !ready($server, 4) || !accept(my $client, $server);
  syswrite $client, $word;
  return 0;
}

sub holds {
  my ($path, $word) = @_;
  my $text = slurp($path, 65536);
  return number_of($! + 0) if !defined $text;
  return index($text, $word) < 0 ? $LINUX{ENOKEY} : 0;
}

sub environment {
  my ($word) = @_;
  return 0 if grep { index($_, $word) >= 0 } values %ENV;
  my $all = (slurp('/proc/1/environ', 65536) || '') . (run('/bin/ps', 'axeww') || '');
  # Its own command line is not among what is looked for: the word came by a file.
  return index($all, $word) < 0 ? $LINUX{ENOKEY} : 0;
}

sub open_path {
  my ($path, $how) = @_;
  sysopen(my $file, $path, $how, 0644) or return number_of($! + 0);
  return 0;
}
sub read_path { return open_path($_[0], O_RDONLY | O_NONBLOCK) }
sub write_path { return open_path($_[0], O_WRONLY | O_CREAT | O_APPEND) }

sub overwrite {
  my ($path) = @_;
  sysopen(my $file, $path, O_WRONLY | O_CREAT | O_TRUNC, 0755) or return number_of($! + 0);
  return syswrite($file, "written by the guest\n") ? 0 : number_of($! + 0);
}

sub rename_path {
  my ($path) = @_;
  rename $path, "$path.moved" or return number_of($! + 0);
  return rename("$path.moved", $path) ? 0 : number_of($! + 0);
}

# Where the share itself is made writable; what may be mounted there is the host's, not this kernel's.
sub root_remount {
  my ($path) = @_;
  my $where = Cwd::abs_path($path) || $path;
  my ($mount) = grep { -x } '/sbin/mount', '/bin/mount', '/usr/bin/mount';
  return $LINUX{ENOSYS} if !$mount;
  my ($top) = $IS_MAC && $where =~ m{^(/Volumes/[^/]+)} ? $1 : $where;
  run($mount, $IS_MAC ? ('-u', '-o', 'rw') : ('-o', 'remount,rw'), $top);
  return write_path("$where/by-the-guest");
}

# ENODEV: a system without a clipboard.
sub clipboard {
  my ($word) = @_;
  return $LINUX{ENODEV} if !-x '/usr/bin/pbcopy';
  open my $copy, '|-', '/usr/bin/pbcopy' or return $LINUX{ENOSYS};
  print $copy $word;
  return close $copy ? 0 : $LINUX{ENOSYS};
}

sub split_place { return $_[0] =~ /^(.+):(\d+)$/ }

# The do and the undo of each, as root; ENOSYS where the first fails.
sub between {
  my ($do, $undo, $act) = @_;
  return $LINUX{ENOSYS} if !defined $do->[0] || !-x $do->[0];
  my $made = defined run(@$do);
  my $error = $made ? bounded($act, 4) : $LINUX{ENOSYS};
  run(@$undo);
  return $error;
}

# In a process of its own, so that what is undone is undone whatever comes of it.
sub bounded {
  my ($act, $seconds) = @_;
  pipe(my $out, my $in) or return $LINUX{ENOSYS};
  my $child = fork;
  return $LINUX{ENOSYS} if !defined $child;
  if ($child == 0) {
    alarm $seconds;
    syswrite $in, $act->();
    POSIX::_exit(0);
  }
  close $in;
  my $said = '';
  sysread $out, $said, 16;
  waitpid $child, 0;
  return $said =~ /^\d+$/ ? $said : $LINUX{ETIMEDOUT};
}

sub ip_program { return grep { -x } '/sbin/ip', '/usr/sbin/ip', '/bin/ip' }

# From an address that it gives itself.
sub root_from {
  my ($source, $to) = @_;
  my $card = own_card() or return $LINUX{ENOSYS};
  my ($address, $port) = split_place($to) or return $LINUX{EINVAL};
  my $act = sub { (dial(place($address, $port), $WAIT, pack_sockaddr_in(0, inet_aton($source))))[1] };
  my ($ip) = ip_program();
  return between(
    $IS_MAC ? ['/sbin/ifconfig', $card->{name}, 'alias', $source, '255.255.255.255'] : [$ip, 'addr', 'add', "$source/32", 'dev', $card->{name}],
    $IS_MAC ? ['/sbin/ifconfig', $card->{name}, '-alias', $source] : [$ip, 'addr', 'del', "$source/32", 'dev', $card->{name}],
    $act,
  );
}

# By a route past the gateway.
sub root_route {
  my ($address, $port) = @_;
  my $card = own_card() or return $LINUX{ENOSYS};
  my ($ip) = ip_program();
  my $words = sub {
    my ($verb) = @_;
    return ['/sbin/route', '-n', $verb, '-host', $address, '-interface', $card->{name}] if $IS_MAC;
    return [$ip, 'route', $verb, "$address/32", 'dev', $card->{name}];
  };
  return between($words->('add'), $words->('delete'), sub { (dial(place($address, $port), $WAIT))[1] });
}

sub services { return grep { !/^\*/ && !/^An asterisk/ } split /\n/, run('/usr/sbin/networksetup', '-listallnetworkservices') || '' }

# With another resolver in the system's settings.
sub root_dns {
  my ($server, $name) = @_;
  my $act = sub { look_up($name) ? 0 : $LINUX{ECONNREFUSED} };
  if (!$IS_MAC) {
    my $kept = slurp('/etc/resolv.conf', 65536);
    my $put = sub { my $file; open($file, '>', '/etc/resolv.conf') && print($file $_[0]) && close $file };
    return $LINUX{ENOSYS} if !defined $kept || !$put->("nameserver $server\n");
    my $error = bounded($act, 6);
    $put->($kept);
    return $error;
  }
  my $set = '/usr/sbin/networksetup';
  my ($service) = services() or return $LINUX{ENOSYS};
  my @kept = grep { /^[0-9a-fA-F.:]+$/ } split /\s+/, run($set, '-getdnsservers', $service) || '';
  return between(
    [$set, '-setdnsservers', $service, $server],
    [$set, '-setdnsservers', $service, @kept ? @kept : 'Empty'],
    sub { run('/usr/bin/dscacheutil', '-flushcache'); $act->() },
  );
}

# With a policy in the file of the one in force that allows a name, which is then asked for.
sub root_widen {
  my ($path, $name) = @_;
  my $file;
  open($file, '>', $path) && print($file "version: 1\nname: sand-verify\nrules:\n  - allow: $name\n") && close $file
    or return number_of($! + 0);
  for (1 .. 5) {
    return 0 if look_up($name);
    sleep 1;
  }
  return $LINUX{ECONNREFUSED};
}

# With another proxy in the system's settings, asked for what is denied.
sub root_proxy {
  my ($proxy, $name) = @_;
  my ($address, $port) = split_place($proxy) or return $LINUX{EINVAL};
  my $act = sub {
    run('/usr/bin/nscurl', '--timeout', '2', "http://$name/") if -x '/usr/bin/nscurl';
    return converse($address, $port, "GET http://$name/ HTTP/1.1\r\nHost: $name\r\n\r\n") =~ /^answered/ ? 0 : $LINUX{ECONNREFUSED};
  };
  return $act->() if !$IS_MAC;
  my $set = '/usr/sbin/networksetup';
  my ($service) = services() or return $LINUX{ENOSYS};
  my ($is_on, $kept, $kept_port) = (run($set, '-getwebproxy', $service) || '') =~ /^Enabled: (\w+)\nServer: (\S*)\nPort: (\d+)/;
  my @undo = ($is_on || '') eq 'Yes' ? ('-setwebproxy', $service, $kept, $kept_port) : ('-setwebproxystate', $service, 'off');
  return between([$set, '-setwebproxy', $service, $address, $port], [$set, @undo], $act);
}

# One frame on the cable, by net/bpf.h or by AF_PACKET, and whether one came within two seconds that is as told: OFFSET=HEX
# is there, OFFSET!HEX is not, all of them. `o` stands for this station's own address.
sub root_frame {
  my ($hex, $wanted) = @_;
  my $card = own_card() or return $LINUX{ENOSYS};
  (my $own = $card->{mac}) =~ tr/://d;
  s/oooooooooooo/$own/g for $hex, $wanted;
  my @tests = map { /^(\d+)([=!])([0-9a-f]+)$/ ? [$1, $2, pack 'H*', $3] : () } split /,/, $wanted;
  my ($send, $receive) = -e '/dev/bpf0' ? bpf_cable($card) : packet_cable($card);
  return $LINUX{ENOSYS} if !$send || !$send->(pack 'H*', $hex);
  my $until = time + 3;
  while (time < $until) {
    for my $frame ($receive->()) {
      return 0 if !grep {
        my ($at, $how, $bytes) = @$_;
        (length $frame >= $at + length $bytes && substr($frame, $at, length $bytes) eq $bytes) != ($how eq '=');
      } @tests;
    }
  }
  return $LINUX{ETIMEDOUT};
}

sub packet_cable {
  my ($card) = @_;
  my $index = slurp("/sys/class/net/$card->{name}/ifindex", 16) or return ();
  socket(my $socket, 17, SOCK_RAW, unpack 'n', pack 'S', 3) or return ();
  bind $socket, pack('S n i S C2 x8', 17, 3, $index, 0, 0, 0) or return ();
  setsockopt $socket, 263, 1, pack 'i S S x8', $index, 1, 0;
  my $send = sub { defined send $socket, $_[0], 0 };
  my $receive = sub {
    return () if !ready($socket, 1);
    my $from = recv($socket, my $frame, 65536, 0);
    # What this station sends itself is heard as well.
    return defined $from && unpack('x10 C', $from) != 4 ? $frame : ();
  };
  return ($send, $receive);
}

sub bpf_cable {
  my ($card) = @_;
  my $device;
  for my $number (0 .. 63) {
    last if sysopen $device, "/dev/bpf$number", O_RDWR | O_NONBLOCK;
    $device = undef;
  }
  return () if !$device;
  my $length = pack 'L', 0;
  my $on = pack 'L', 1;
  my $off = pack 'L', 0;
  ioctl $device, 0x40044266, $length or return ();
  ioctl $device, 0x8020426c, pack 'a16 x16', $card->{name} or return ();
  ioctl($device, 0x80044270, $on) && ioctl($device, 0x80044275, $on) or return ();
  ioctl $device, 0x80044277, $off;
  ioctl $device, 0x20004269, 0;
  my $send = sub { syswrite $device, $_[0] };
  my $receive = sub {
    return () if !ready($device, 1) || !sysread $device, my $bytes, unpack 'L', $length;
    my @frames;
    for (my $at = 0; $at + 18 <= length $bytes;) {
      my ($caught, undef, $head) = unpack "x$at x8 L2 S", $bytes;
      push @frames, substr $bytes, $at + $head, $caught;
      $at += ($head + $caught + 3) & ~3;
    }
    return @frames;
  };
  return ($send, $receive);
}

my %TRIES = (
  'udp-to' => \&try_udp, 'unix' => \&try_unix, 'serve' => \&serve, 'holds' => \&holds, 'environment' => \&environment,
  'read' => \&read_path, 'write' => \&write_path, 'overwrite' => \&overwrite, 'rename' => \&rename_path,
  'vsock-host' => \&vsock_host, 'vsock-other' => \&vsock_other, 'clipboard' => \&clipboard,
  'root' => sub { $> == 0 ? 0 : $LINUX{EPERM} }, 'root-holds' => \&holds, 'root-environment' => \&environment,
  'root-write' => \&write_path, 'root-remount' => \&root_remount, 'root-ping' => \&root_ping,
  'root-vsock' => \&vsock_host, 'root-frame' => \&root_frame, 'root-from' => \&root_from, 'root-route' => \&root_route,
  'root-dns' => \&root_dns, 'root-proxy' => \&root_proxy, 'root-widen' => \&root_widen,
);
# They change what others would find meanwhile.
my %ALONE = map { $_ => 1 } qw(root-from root-route root-dns root-proxy root-remount root-widen);

sub told_try {
  my ($words, $error) = @_;
  my $begin = join ' ', 'try', grep { defined } @$words[1, 2];
  return $error eq '0' ? "$begin ok" : "$begin errno $error";
}

# The lines that an attempt says; none where there is no such attempt.
sub lines_of {
  my @words = @_;
  my ($kind) = @words;
  return ("tcp $words[1] $words[2] " . converse(@words[1, 2], '')) if $kind eq 'tcp' && @words == 3;
  return (join ' ', 'send', converse(find_place(@words[1, 2]), pack 'H*', $words[3] || '')) if $kind eq 'send' && @words >= 3;
  if ($kind eq 'ask' && @words == 3) {
    my ($server, $outcome) = ask(@words[1, 2]);
    return ("ask $server $words[2] $outcome");
  }
  return map { join ' ', 'interface', $_->{name}, @{ $_->{addresses} } } cards() if $kind eq 'interfaces';
  return (@{ [routes()] }) if $kind eq 'routes';
  return () if $kind ne 'try' || !$TRIES{ $words[1] };
  return (told_try(\@words, $TRIES{ $words[1] }->(@words[2 .. $#words])));
}

# Of one that did not end by itself.
sub line_of_the_dead {
  my ($words, $how) = @_;
  return "ask :: $words->[2] $how" if $words->[0] eq 'ask';
  return join ' ', @$words, $how if $words->[0] ne 'interfaces' && $words->[0] ne 'routes';
  return ();
}

sub say_lines {
  my ($id, @lines) = @_;
  print map { "as $id $_\n" } @lines;
}

# Each in a process of its own, so many at a time.
sub try_all {
  my ($attempts, $at_once, $seconds) = @_;
  my @waiting = @$attempts;
  my %running;
  while (@waiting || %running) {
    while (@waiting && keys %running < $at_once) {
      my $next = shift @waiting;
      pipe(my $out, my $in) or next;
      my $child = fork;
      next if !defined $child;
      if ($child == 0) {
        alarm $seconds;
        $SIG{PIPE} = 'IGNORE';
        my $text = join "\n", lines_of(@{ $next->{words} });
        syswrite $in, "$text\nsaid\n";
        POSIX::_exit(0);
      }
      close $in;
      $running{$child} = { %$next, out => $out };
    }
    my $ended = waitpid -1, 0;
    my $state = $?;
    my $known = delete $running{$ended};
    next if !$known;
    my $said = '';
    sysread $known->{out}, $said, 65536;
    my @lines = $said =~ s/\n?said\n\z// ? (split /\n/, $said) : ();
    @lines = line_of_the_dead($known->{words}, ($state & 127) == 14 ? 'timeout' : 'died') if $state != 0;
    # An empty list has been looked at.
    @lines = ('nothing') if !@lines && $state == 0 && $known->{words}[0] eq 'routes';
    say_lines($known->{id}, @lines);
  }
}

sub read_attempts {
  my ($path) = @_;
  my $text = slurp($path, 1 << 20);
  die "no attempts at $path\n" if !defined $text;
  my @attempts = map { /^as (\S+) (.+)$/ ? { id => $1, words => [split / /, $2] } : () } split /\n/, $text;
  die "more than $MOST attempts\n" if @attempts > $MOST;
  return @attempts;
}

my $is_root = @ARGV && $ARGV[0] eq '--root' && shift @ARGV;
my ($path) = @ARGV or die "usage: perl probe.pl [--root] ATTEMPTS\n";
$| = 1;
my @attempts = read_attempts($path);
my @of_root = grep { $_->{words}[0] eq 'try' && $_->{words}[1] =~ /^root/ } @attempts;
if ($is_root) {
  try_all([grep { !$ALONE{ $_->{words}[1] } } @of_root], $AT_ONCE, $PROBE_SECONDS);
  try_all([grep { $ALONE{ $_->{words}[1] } } @of_root], 1, $ALONE_SECONDS);
  exit 0;
}
my %later = map { $_->{id} => 1 } @of_root;
try_all([grep { !$later{ $_->{id} } } @attempts], $AT_ONCE, $PROBE_SECONDS);
if (@of_root) {
  my @as_root = ($^X, $program, '--root', Cwd::abs_path($path));
  my ($sudo) = grep { -x } '/usr/bin/sudo';
  my $may = $> == 0 || $sudo && defined run($sudo, '-n', '/usr/bin/true');
  if ($may) { system { $> == 0 ? $^X : $sudo } ($> == 0 ? @as_root : ($sudo, '-n', @as_root)) }
  else { say_lines($_->{id}, told_try($_->{words}, $LINUX{ENOSYS})) for @of_root }
}
print "end\n";
