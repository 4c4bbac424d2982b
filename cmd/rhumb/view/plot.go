package view

// plot is a grid of cells in which lines are drawn. A cell has two columns of four dots, as a letter of Braille has.
type plot struct {
	cols, rows int
	cells      []plotCell
	x, y       int // where the pen is
}

type plotCell struct {
	dots   byte // as in Unicode's block of Braille
	series int  // the last one that was drawn in it
}

func newPlot(cols, rows int) *plot {
	return &plot{cols: cols, rows: rows, cells: make([]plotCell, cols*rows)}
}

// width and height return the numbers of dots.
func (p *plot) width() int  { return 2 * p.cols }
func (p *plot) height() int { return 4 * p.rows }

func (p *plot) at(col, row int) plotCell { return p.cells[row*p.cols+col] }

// dots are the bits of a cell's dots, by column and by row from the top.
var dots = [2][4]byte{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

// moveTo draws a dot. y is counted from below.
func (p *plot) moveTo(series, x, y int) {
	p.x, p.y = x, y
	if x < 0 || y < 0 || x >= p.width() || y >= p.height() {
		return
	}
	y = p.height() - 1 - y
	c := &p.cells[y/4*p.cols+x/2]
	c.dots |= dots[x%2][y%4]
	c.series = series
}

// lineTo draws a line from where the pen is.
func (p *plot) lineTo(series, x, y int) {
	fromX, fromY := p.x, p.y
	n := max(x-fromX, fromX-x, y-fromY, fromY-y, 1)
	for i := 1; i <= n; i++ {
		p.moveTo(series, fromX+(x-fromX)*i/n, fromY+(y-fromY)*i/n)
	}
}
