# The reader behind prose.sh, which says how it is called.
#
# Read are: comments and strings of Rust and shell, comments of KDL, TOML and the Makefile, and Markdown
# without its code. Text in backticks is no prose, and a string of one word is a machine's.
#
# "what" counts as a relative pronoun ("moves what must move") unless it
#   - is in a heading, or in a sentence that ends with a question mark,
#   - begins an indirect question: one of the three words before it is a verb such as say, show, know or
#     ask ("says what is wrong"),
#   - is one of "what if", "what about", "what kind", "what sort", "what to", "no matter what".
use strict;
use warnings;

my $MAXIMUM = 3;    # "what" as a relative pronoun in 1,000 words
my $VERBS = join '|', qw(ask asks asked check checks decide decides decided describe describes explain explains
    know knows known learn learns print prints read reads record records report reports say says said saying
    see sees seen show shows showed shown tell tells understand understands);
my $SKIPPED = qr{^(LICENSE|Cargo\.lock|tests/planted/|tests/fixtures/|tests/cases/|tests/.*/(snapshots|recorded)/)};

my $READ = qr{\.(rs|kdl|sh|md|toml|words|allow)$|(^|/)Makefile$};

my $mode = @ARGV && $ARGV[0] =~ /^--(summary|what)$/ ? $1 : 'list';
shift @ARGV if $mode ne 'list';
my @files = @ARGV ? @ARGV : split /\n/, `git ls-files`;

my @words = map { compiled($_) } grep { /=>/ && !/^#/ } lines('tests/tools/prose.words');
my @allowed = map { allowance($_) } grep { /\|/ && !/^#/ } lines('tests/tools/prose.allow');
my (%findings, %whats, %counts, @whats);

for my $file (@files) {
    next if $file =~ $SKIPPED || $file !~ $READ || !-f $file;
    read_file($file);
}
show();

sub lines {
    open my $in, '<:encoding(UTF-8)', $_[0] or die "prose.sh: cannot read $_[0]: $!\n";
    my @lines = <$in>;
    chomp @lines;
    return @lines;
}

sub compiled {
    my ($word, $wanted) = $_[0] =~ /^(.*?)\s*=>\s*(.*)$/;
    $word =~ s/ /\\s+/g;
    return { word => qr/(?<![\w-])(?:$word)(?![\w-])/i, wanted => $wanted };
}

sub allowance {
    my ($path, $text) = map { s/^\s+|\s+$//gr } split /\|/, $_[0];
    $path = join '.*', map { quotemeta } split /\*/, $path, -1;
    return { path => qr/^$path$/, text => $text };
}

sub read_file {
    my ($file) = @_;
    my @lines = lines($file);
    my $text = join "\n", @lines;
    my $kind = $file =~ /\.md$/ ? 'docs' : 'comments';
    my @blocks =
          $file =~ /\.rs$/              ? code($text, qr{//[/!]?}, 1)
        : $file =~ /\.kdl$/             ? code($text, qr{//}, 0)
        : $file =~ /\.sh$/              ? code($text, qr{#+!?}, 1)
        : $file =~ /\.md$/              ? markdown(@lines)
        :                                 code($text, qr{#+}, 0);
    for my $block (@blocks) {
        my ($start, $prose, $is_string) = @$block;
        $prose =~ s/`[^`]*`/ ` /g if $prose !~ /`[^`]*\n[^`]*`/;
        $prose =~ s/`([^`]*)`/my $n = () = $1 =~ m{\n}g; ' ` ' . "\n" x $n/ge;
        find_words($file, $start, $prose, \@lines);
        count_whats($file, $kind, $start, $prose) unless $is_string;
    }
}

# Comments that follow one another are one block, [first line, text, 0]; a string is one, [line, text, 1].
sub code {
    my ($text, $mark, $with_strings) = @_;
    my @blocks;
    my $line = 1;
    my $last = -1;
    my $hash = $mark =~ /#/;
    my $fenced = 0;
    pos($text) = 0;
    while (pos($text) < length $text) {
        if ((!$hash || $text =~ /\G(?<!\S)/gc) && $text =~ /\G$mark([^\n]*)/gc) {
            my $comment = $1;
            $fenced = 0 if $line > $last + 1;
            if ($comment =~ /^\s*```/) { $fenced = !$fenced; $comment = '' }
            $comment = '' if $fenced;
            if ($line == $last + 1 && @blocks && !$blocks[-1][2]) { $blocks[-1][1] .= "\n$comment" }
            else { push @blocks, [$line, $comment, 0] }
            $last = $line;
        }
        elsif (!$hash && $text =~ /\Gb?r(#*)"(.*?)"\1/gcs) { $line = string(\@blocks, $line, $2, 0) }
        elsif ($text =~ /\G"((?:[^"\\]|\\.)*)"/gcs) { $line = string(\@blocks, $line, $1, $with_strings) }
        elsif (!$hash && $text =~ /\G'(?:[^'\\\n]|\\[^\n]+?)'/gc) { }
        elsif ($hash && $text =~ /\G'[^']*'/gcs) { $line += () = $& =~ /\n/g }
        elsif ($text =~ /\G\n/gc) { $line++ }
        else { $text =~ /\G./gcs }
    }
    return @blocks;
}

sub string {
    my ($blocks, $line, $text, $wanted) = @_;
    push @$blocks, [$line, $text, 1] if $wanted && $text =~ /\w\s+\w/;
    return $line + (() = $text =~ /\n/g);
}

# Paragraphs of Markdown; a heading, a row of a table and an item of a list are blocks of their own.
sub markdown {
    my @blocks;
    my ($fenced, $open, $number) = (0, 0, 0);
    for my $line (@_) {
        $number++;
        if ($line =~ /^\s*(```|~~~)/) { $fenced = !$fenced; $open = 0; next }
        if ($fenced || $line =~ /^\s*$/) { $open = 0; next }
        my $text = $line =~ s/\]\([^)]*\)/]/gr;
        my $own = $line =~ /^\s*(#|\||[-*] |\d+\. )/;
        if ($open && !$own) { $blocks[-1][1] .= "\n$text" }
        else { push @blocks, [$number, $text, 0] }
        $open = $line !~ /^\s*[#|]/;
    }
    return @blocks;
}

sub find_words {
    my ($file, $start, $prose, $lines) = @_;
    for my $rule (@words) {
        while ($prose =~ /$rule->{word}/g) {
            my $found = $& =~ s/\s+/ /gr;
            my $line = $start + (() = substr($prose, 0, $-[0]) =~ /\n/g);
            next if is_allowed($file, $lines->[$line - 1]);
            push @{ $findings{$file} }, [$line, $found, $rule->{wanted}];
        }
    }
}

sub is_allowed {
    my ($file, $line) = @_;
    for my $allowed (@allowed) {
        return 1 if $file =~ $allowed->{path} && index($line, $allowed->{text}) >= 0;
    }
    return 0;
}

sub count_whats {
    my ($file, $kind, $start, $prose) = @_;
    $counts{$kind}{words} += () = $prose =~ /[A-Za-z][\w'-]*/g;
    return if $prose =~ /^\s*#/;
    while ($prose =~ /(?<![\w-])(what)(?![\w-])/gi) {
        my $what = $1;
        my ($before, $after) = (substr($prose, 0, $-[0]), substr($prose, $+[0]));
        next if $after =~ /^[^.?!:;]*\?/;
        next if $after =~ /^\s+(if|about|kind|sort|to)\b/;
        next if $before =~ /\bno\s+matter\s+$/;
        next if $before =~ /\b(?:$VERBS)(?:\s+\S+){0,2}\s+$/i;
        $counts{$kind}{whats}++;
        $whats{$file}++;
        my $line = $start + (() = $before =~ /\n/g);
        push @whats, "$file:$line: " . (($before =~ /([^\n]*)$/)[0] . $what . ($after =~ /^([^\n]*)/)[0]) =~ s/^\s+//r;
    }
}

sub show {
    my $total = 0;
    $total += @{ $findings{$_} } for keys %findings;
    if ($mode eq 'what') { print "$_\n" for @whats }
    elsif ($mode eq 'summary') { summary() }
    else {
        for my $file (sort keys %findings) {
            print "$file:$_->[0]: $_->[1] -> $_->[2]\n" for sort { $a->[0] <=> $b->[0] } @{ $findings{$file} };
        }
    }
    my $failed = $total > 0;
    print "$total words to replace\n";
    for my $kind (sort keys %counts) {
        my ($words, $found) = ($counts{$kind}{words} || 1, $counts{$kind}{whats} || 0);
        my $rate = 1000 * $found / $words;
        printf "\"what\" as a relative pronoun in %s: %.1f in 1,000 words (%d of %d; fewer than %d wanted)\n",
            $kind, $rate, $found, $words, $MAXIMUM;
        $failed ||= $rate >= $MAXIMUM && !@ARGV;
    }
    exit($failed ? 1 : 0);
}

sub summary {
    my %all = map { $_ => 1 } keys %findings, keys %whats;
    my %sum = map { $_ => scalar(@{ $findings{$_} || [] }) + ($whats{$_} || 0) } keys %all;
    print "words  what  file\n";
    for my $file (sort { $sum{$b} <=> $sum{$a} || $a cmp $b } keys %sum) {
        printf "%5d %5d  %s\n", scalar(@{ $findings{$file} || [] }), $whats{$file} || 0, $file;
    }
}
