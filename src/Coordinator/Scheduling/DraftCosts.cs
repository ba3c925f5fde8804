namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// What steps and the draft model's tokens cost, learnt from those before, and what drafts gain by that. A step's time is taken to be that of its streams'
/// rows (<see cref="DraftLength.RowsPerRead"/>) and that of its drafted rows. Both are followed by normalised least mean squares, so that they change with
/// the machines' load. One outlier counts for little.
/// </summary>
sealed class DraftCosts
{
    /// <summary>What drafts must gain by what was measured, which is not exact.</summary>
    public const double Margin = 1.05;

    const double Pace = 1.0 / 4;
    const double Outlier = 4;   // times what was expected

    double _unit;   // seconds; a step without drafts takes RowsPerRead + rows of them
    double _row;    // seconds of a drafted row
    double? _token; // seconds of a token of the draft model

    /// <summary>Seconds of one drafted token, from the question to the answer; null: nothing is known yet.</summary>
    public double? Token => _token;

    /// <summary>Seconds of a step without drafts; 0: nothing is known yet.</summary>
    public double Step(int streams) => _unit * (DraftLength.RowsPerRead + streams);

    /// <summary>A step returned that had rows of streams and of drafts only.</summary>
    public void Returned(double seconds, int streams, int drafts)
    {
        var reads = DraftLength.RowsPerRead + streams;
        if (_unit == 0) (_unit, _row) = (seconds / (reads + drafts), seconds / (reads + drafts));
        var expected = (_unit * reads) + (_row * drafts);
        var error = Math.Min(seconds, Outlier * expected) - expected;
        var scale = Pace * error / ((reads * reads) + ((double)drafts * drafts));
        _unit = Math.Max(_unit / 2, _unit + (scale * reads));
        _row = Math.Max(0, _row + (scale * drafts));
    }

    /// <summary>The draft model gave so many tokens, or none in that time.</summary>
    /// <param name="isTry">What was measured before is long ago: what is better than it counts as it is, and is soon corrected if it was chance.</param>
    public void Drafted(double seconds, int tokens, bool isTry = false)
    {
        var each = seconds / tokens;
        if (_token is not { } mean || (isTry && each < mean)) _token = each;
        else _token = mean + (Pace * (Math.Min(each, Outlier * mean) - mean));
    }

    /// <param name="acceptance">The probability that a drafted token is right if all before it are.</param>
    /// <param name="streams">That have a row in the step.</param>
    /// <param name="isFree">Leave out what the draft model itself takes.</param>
    /// <returns>How many tokens are worth drafting for each; 0: it would gain less than <see cref="Margin"/>.</returns>
    public int Best(double acceptance, int streams, int most, bool isFree = false)
    {
        var (best, count) = (Margin, 0);
        var (tokens, right) = (1.0, 1.0);
        for (var i = 1; i <= most; i++)
        {
            tokens += right *= acceptance;
            var gain = tokens * Step(streams) / (Step(streams) + (i * ((streams * _row) + (isFree ? 0 : _token ?? 0))));
            if (gain > best) (best, count) = (gain, i);
        }
        return count;
    }
}
