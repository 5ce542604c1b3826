#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Makes .deps/cassandra: the jars of a whole Apache Cassandra, so that its client is tested on the real server.
#
# They come from Maven Central by mvn, which also checks their sums. Nothing is started, and nothing is put
# elsewhere but into mvn's own cache. test/cassandra/servers.py runs them, on Java 17: another version cannot
# run Cassandra 5.0. Where `java` is another, .deps/cassandra/java names the one that was found.
#
# usage: tools/cassandra.sh
set -eu
cd "$(dirname "$0")/.."

version=5.0.9
home=.deps/cassandra
stamp="cassandra-all $version"

is_java_17() { [ -x "$1" ] && "$1" -version 2>&1 | grep -q '"17[."]'; }
find_java() {
    for java in "$(cat $home/java 2>/dev/null)" "${JAVA_HOME:-}/bin/java" "$(command -v java)" \
                /usr/lib/jvm/*17*/bin/java; do
        if is_java_17 "$java"; then
            echo "$java"
            return
        fi
    done
}

java=$(find_java)
if [ -z "$java" ]; then
    echo "setup: cassandra: no Java 17 is here; install Debian's openjdk-17-jre-headless, or set JAVA_HOME" >&2
    exit 1
fi
if [ "$(cat $home/stamp 2>/dev/null)" = "$stamp" ] && [ "$(cat $home/java 2>/dev/null)" = "$java" ]; then exit 0; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/weir-cassandra.XXXXXX")
trap 'rm -rf "$work"' EXIT
fail() {
    tail -n 20 "$work/log" >&2
    echo "setup: cassandra: $1" >&2
    exit 1
}

echo "setup: fetching Cassandra $version (100 jars, 67 MB) into $home"
cat >"$work/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir</groupId>
  <artifactId>cassandra-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId>
      <artifactId>cassandra-all</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
POM
: >"$work/log"
command -v mvn >"$work/log" 2>&1 || fail "mvn is missing; install Debian's maven"
(cd "$work" && mvn -q -B -Dstyle.color=never dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$work/jars") >"$work/log" 2>&1 ||
    fail "mvn could not fetch the jars; is its repository within reach?"
[ -f "$work/jars/cassandra-all-$version.jar" ] || fail "mvn is content, but cassandra-all-$version.jar is not there"
rm -rf $home
mkdir -p $home
mv "$work/jars" $home/jars
printf '%s\n' "$java" >$home/java
printf '%s\n' "$stamp" >$home/stamp
