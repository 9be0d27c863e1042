package MailTest::Maildir;

# The Maildir that a test's mail is delivered to; messages are known by their X-Test-Id header or
# by their sender.

use v5.36;
use MailTest::Place qw(read_file);
use MailTest::Wait qw(wait_until);

sub new ($class, $folder) {
    return bless {folder => $folder, seen => {}, texts => {}}, $class;
}

# Reads what has arrived since the last call.
sub scan ($self) {
    for my $path (glob("$self->{folder}/new/*")) {
        next if $self->{seen}{$path}++;
        my $text = read_file($path);
        my ($id) = $text =~ /^X-Test-Id: *(\S+)/mi;
        my ($sender) = $text =~ /^Return-Path: <(.*)>/m;
        push @{$self->{texts}{$_ // ''}}, $text for $id, $sender;
    }
}

# Texts delivered so far under that id or sender.
sub messages ($self, $id) {
    $self->scan;
    return @{$self->{texts}{$id} // []};
}

# Number of messages delivered so far.
sub count ($self) {
    $self->scan;
    return scalar keys %{$self->{seen}};
}

# Waits for the message of that id and returns its text.
sub wait_for ($self, $id) {
    return $self->{texts}{$id}[0]
        // wait_until("message $id in the Maildir", sub { ($self->messages($id))[0] });
}

1;
