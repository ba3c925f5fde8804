using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Matching;

namespace LlamaCluster.Text.Grammars.Drafting;

/// <summary>
/// Follows an answer by its grammar, and says how it must go on: names of properties, punctuation, constants. Where white space is free, that which the
/// answer had at such places before is taken. The tokens are a guess, since a text can be written with many: whoever uses them samples each as ever, and goes
/// on for as long as both are the same. One caller at a time.
/// </summary>
public sealed class ForcedText
{
    /// <summary>Ways to read the answer. Where there are more, hardly anything is forced, and following takes long.</summary>
    const int MostReadings = 64;

    /// <summary>Bytes that are looked ahead.</summary>
    const int MostAhead = 96;

    const int Nothing = -1;
    const int Several = -2;

    readonly ReadingSteps _steps;
    readonly DraftTokens _tokens;
    readonly SpaceHabits _habits = new();
    readonly List<byte> _ahead = [];
    JsonPlace _place;
    Readings _readings;

    public ForcedText(Grammar grammar, DraftTokens tokens)
    {
        (_steps, _tokens) = (new ReadingSteps(grammar.Rules, MostReadings), tokens);
        try
        {
            _readings = _steps.Begin();
        }
        catch (GrammarException)
        {
            _readings = Readings.None;
        }
    }

    /// <summary>Tokens of the answer that were taken.</summary>
    public int Count { get; private set; }

    /// <summary>Takes the next token of the answer.</summary>
    public void Add(int id)
    {
        Count++;
        if (_readings.Open.Length == 0) return;   // it is over, or too ambiguous to be followed
        var text = _tokens.TextOf(id);
        foreach (var value in text)
        {
            _habits.Learn(_place, value);
            _place.Add(value);
        }
        _readings = Advance(_readings, text);
    }

    /// <summary>The tokens that are to be expected next; empty where the model has a choice.</summary>
    public int[] Next()
    {
        _ahead.Clear();
        var (readings, place) = (_readings, _place);
        var mayBeDigit = false;
        while (readings.Open.Length > 0 && !readings.MayEnd && _ahead.Count < MostAhead)
        {
            var (part, spaces) = Following(readings, out mayBeDigit);
            var value = Choose(part, spaces, place);
            if (value < 0) break;
            readings = Advance(readings, [(byte)value]);
            if (readings.IsDead) break;   // white space of a kind that the grammar does not let through
            place.Add((byte)value);
            _ahead.Add((byte)value);
        }
        // White space is often written together with what comes behind it, digits aside.
        while (!mayBeDigit && _ahead is [.., var last] && JsonSpace.IsSpace(last)) _ahead.RemoveAt(_ahead.Count - 1);
        return _ahead.Count == 0 ? [] : _tokens.Of([.. _ahead]);
    }

    /// <returns>Below 0: there is a choice.</returns>
    int Choose(int part, int spaces, in JsonPlace place)
    {
        if (spaces == 0) return part;
        if (place.IsInString) return part == Nothing ? Only(spaces) : Several;
        return _habits.Next(place, part) is >= 0 and var space ? space : part == Nothing ? Only(spaces) : part;
    }

    /// <summary>What byte must follow, white space aside, and which white space may.</summary>
    /// <param name="mayBeDigit">Several bytes may follow, a digit among them.</param>
    (int Part, int Spaces) Following(Readings readings, out bool mayBeDigit)
    {
        var (part, spaces) = (Nothing, 0);
        mayBeDigit = false;
        foreach (ref readonly var reading in readings.Open.AsSpan())
        {
            var lexeme = _steps.LexemeOf(reading);
            for (var value = 0; value < 256; value++)
            {
                if (lexeme.Next(reading.State, (byte)value) < 0) continue;
                if (JsonSpace.IsSpace((byte)value)) spaces |= Bit(value);
                else if (part == Nothing || part == value) part = value;
                else part = Several;
                if (part == Several && value is >= '0' and <= '9') mayBeDigit = true;
                if (part == Several && value > '9') break;
            }
        }
        return (part, spaces);
    }

    static int Bit(int space) => space switch { ' ' => 1, '\n' => 2, _ => 4 };

    static int Only(int spaces) => spaces switch { 1 => ' ', 2 => '\n', 4 => '\t', _ => Nothing };

    Readings Advance(Readings from, ReadOnlySpan<byte> text)
    {
        try
        {
            return _steps.Advance(from, text);
        }
        catch (GrammarException)
        {
            return Readings.None;
        }
    }
}
