using System.Collections.Concurrent;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// Keeps a kind of event from flooding the log. Of each kind the first <see cref="Most"/> lines of a period are written; the last of them says that
/// more may come, and the first one after the period says how many there were. Safe for concurrent use.
/// </summary>
sealed class LogThrottle(TimeProvider time)
{
    /// <summary>Lines of one kind in one <see cref="Period"/>.</summary>
    public const int Most = 50;

    public static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    // As many entries as there are log messages in the program.
    readonly ConcurrentDictionary<(string Category, int Event), Kind> _kinds = [];

    /// <param name="note">What is to follow on the line; "": nothing.</param>
    /// <returns>Whether the line is to be written.</returns>
    public bool TryTake(string category, int eventId, out string note)
    {
        var kind = _kinds.GetOrAdd((category, eventId), static _ => new Kind());
        lock (kind)
        {
            var now = time.GetTimestamp();
            note = "";
            if (kind.Written == 0 || time.GetElapsedTime(kind.Since, now) >= Period)
            {
                if (kind.Hidden > 0) note = $" (before it {kind.Hidden} like it were not written)";
                (kind.Since, kind.Written, kind.Hidden) = (now, 1, 0);
                return true;
            }
            if (kind.Written == Most)
            {
                kind.Hidden++;
                return false;
            }
            if (++kind.Written == Most) note = $" (others like it are only counted for up to {Period.TotalSeconds:0} s)";
            return true;
        }
    }

    sealed class Kind
    {
        public long Since { get; set; }

        public int Written { get; set; }

        public int Hidden { get; set; }
    }
}
