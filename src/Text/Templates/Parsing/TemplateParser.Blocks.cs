using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Statements;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>The tags one by one; each starts after its name.</summary>
sealed partial class TemplateParser
{
    ForStatement ParseFor(int line)
    {
        var target = ParseTarget();
        _tokens.ExpectName("in");
        var iterated = _expressions.ParseTuple(withCondition: false);
        var filter = _tokens.SkipName("if") ? _expressions.Parse() : null;
        if (_tokens.Current.IsName("recursive")) throw new TemplateFault("recursive loops are not supported", line);
        EndOpeningTag();
        _loops++;
        var body = ParseBody("endfor", "else");
        _loops--;
        var otherwise = _tokens.Take().Text == "else" ? ParseBlock("endfor") : EndWithout();
        return new ForStatement(line, target, iterated, filter, body, otherwise);
    }

    IfStatement ParseIf(int line)
    {
        _expressions.Conditional++;
        var branches = new List<(Expression, Body)>();
        string end;
        do
        {
            var condition = _expressions.ParseTuple(withCondition: false);
            EndOpeningTag();
            branches.Add((condition, ParseBody("elif", "else", "endif")));
            end = _tokens.Take().Text;
        }
        while (end == "elif");
        var otherwise = end == "else" ? ParseBlock("endif") : EndWithout();
        _expressions.Conditional--;
        return new IfStatement(line, branches, otherwise);
    }

    /// <summary>Ends a block that has no <c>else</c>.</summary>
    Body EndWithout()
    {
        EndTag();
        return Body.Empty;
    }

    Statement ParseSet(int line)
    {
        var target = ParseTarget(mayBeNamespace: true);
        if (_tokens.SkipOperator("="))
        {
            var value = _expressions.ParseTuple();
            EndTag();
            return new SetStatement(line, target, value);
        }
        var filter = _expressions.ParseBlockFilters(startsWithName: false);
        return new SetBlockStatement(line, target, filter, ParseBlock("endset"));
    }

    MacroStatement ParseMacro(int line)
    {
        var name = _tokens.Expect(TokenKind.Name, "the macro's name").Text;
        return new MacroStatement(line, ParseDefinition(line, name, ParseParameters(), "endmacro"));
    }

    CallBlockStatement ParseCall(int line)
    {
        var parameters = _tokens.Current.IsOperator("(") ? ParseParameters() : [];
        if (_expressions.Parse() is not CallExpression call) throw new TemplateFault("expected the call of a macro", line);
        return new CallBlockStatement(line, call, ParseDefinition(line, "caller", parameters, "endcall"));
    }

    MacroDefinition ParseDefinition(int line, string name, IReadOnlyList<(string, Expression?)> parameters, string endTag)
    {
        var loopsAround = _loops;
        _loops = 0;
        _expressions.StartNames();
        var body = ParseBlock(endTag);
        _loops = loopsAround;
        return new MacroDefinition(line, name, parameters, _expressions.EndNames(), body);
    }

    List<(string, Expression?)> ParseParameters()
    {
        var parameters = new List<(string Name, Expression? Default)>();
        _tokens.ExpectOperator("(");
        while (!_tokens.SkipOperator(")"))
        {
            if (parameters.Count > 0) _tokens.ExpectOperator(",");
            var name = _tokens.Expect(TokenKind.Name, "a parameter's name");
            var fallback = _tokens.SkipOperator("=") ? _expressions.Parse() : null;
            if (fallback is null && parameters.Count > 0 && parameters[^1].Default is not null)
                throw new TemplateFault($"the parameter '{name.Text}' without a default follows one that has one", name.Line);
            parameters.Add((name.Text, fallback));
        }
        return parameters;
    }

    FilterBlockStatement ParseFilterBlock(int line)
    {
        var filter = _expressions.ParseBlockFilters(startsWithName: true)!;
        return new FilterBlockStatement(line, filter, ParseBlock("endfilter"));
    }

    WithStatement ParseWith(int line)
    {
        var names = new List<(AssignmentTarget, Expression)>();
        while (_tokens.Current.Kind != TokenKind.TagEnd && !_tokens.Current.IsOperator(":"))
        {
            if (names.Count > 0) _tokens.ExpectOperator(",");
            var target = ParseTarget();
            _tokens.ExpectOperator("=");
            names.Add((target, _expressions.Parse()));
        }
        return new WithStatement(line, names, ParseBlock("endwith"));
    }

    LoopControlStatement ParseLoopControl(Token tag)
    {
        if (_loops == 0) throw new TemplateFault($"'{tag.Text}' outside of a loop", tag.Line);
        EndTag();
        return new LoopControlStatement(tag.Line, tag.Text == "break" ? Flow.Break : Flow.Continue);
    }

    OutputStatement ParsePrint(int line)
    {
        var value = _expressions.Parse();
        EndTag();
        return new OutputStatement(line, value);
    }

    AssignmentTarget ParseTarget(bool mayBeNamespace = false)
    {
        if (mayBeNamespace && _tokens.Current.Kind == TokenKind.Name && _tokens.Following.IsOperator("."))
        {
            var name = _tokens.Take().Text;
            _tokens.Take();
            return new NamespaceTarget(name, _tokens.Expect(TokenKind.Name, "an attribute's name").Text);
        }
        var targets = new List<AssignmentTarget> { ParseOneTarget() };
        var isTuple = false;
        while (_tokens.SkipOperator(","))
        {
            isTuple = true;
            if (_tokens.Current.IsName("in") || _tokens.Current.Kind == TokenKind.TagEnd) break;
            targets.Add(ParseOneTarget());
        }
        return isTuple ? new TupleTarget(targets) : targets[0];
    }

    AssignmentTarget ParseOneTarget()
    {
        var line = _tokens.Current.Line;
        return ToTarget(_expressions.ParsePrimary()) ?? throw new TemplateFault("this cannot be assigned to; expected a name", line);
    }

    static AssignmentTarget? ToTarget(Expression expression)
    {
        if (expression is NameExpression name) return new NameTarget(name.Name);
        if (expression is not SequenceExpression { Items.Count: > 0 } tuple) return null;
        var targets = tuple.Items.Select(ToTarget).OfType<AssignmentTarget>().ToList();
        return targets.Count == tuple.Items.Count ? new TupleTarget(targets) : null;
    }
}
