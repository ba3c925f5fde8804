using System.Text;

namespace LlamaCluster.Cli.Up;

/// <summary>
/// Lines of workers that start before the coordinator does. They are held until it has started: what is wrong with the command is said first, and alone.
/// </summary>
sealed class HeldLines(TextWriter to) : TextWriter
{
    /// <summary>Of more, the first are kept.</summary>
    const int Most = 1000;

    readonly Lock _gate = new();
    Queue<string?>? _held = [];

    public override Encoding Encoding => to.Encoding;

    public override void WriteLine(string? value)
    {
        lock (_gate)
        {
            if (_held is null) to.WriteLine(value);
            else if (_held.Count < Most) _held.Enqueue(value);
        }
    }

    /// <summary>Writes what was held, and everything from now on.</summary>
    public void Release()
    {
        lock (_gate)
        {
            foreach (var line in _held ?? []) to.WriteLine(line);
            _held = null;
        }
    }
}
