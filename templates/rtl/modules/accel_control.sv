// SPDX-License-Identifier: MIT-0
// AXI-Lite register file, gate of the input stream, end-of-image marks and hardware cycle counters.
//
// Register map: codesign/emit/registers.py. After start the gate lets exactly `images` images in. `done` rises when the
// last beat of the last image has left, whatever beats waited for. Cycles are counted in 64 bits: a slow design passes
// 2**32 of them within one start. Their halves do not change between `done` and the next start.
//
// What the host reads counts one cycle late, at both ends alike; only the gate and the ends of images are of the moment.
// IN_LATE: cycles by which out_beat_i comes late, and input beats are counted as much later. A read takes three cycles.
module accel_control
  import codesign_pkg::*;
#(
  parameter logic [63:0] DESIGN_HASH = '0,
  parameter int BEATS_IN = 1,   // per image
  parameter int BEATS_OUT = 1,
  parameter int IN_LATE = 0,
  parameter int ADDRESS_BITS = 7
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic [ADDRESS_BITS-1:0] awaddr_i,
  input  logic                    awvalid_i,
  output logic                    awready_o,
  input  logic [31:0]             wdata_i,
  input  logic                    wvalid_i,
  output logic                    wready_o,
  output logic                    bvalid_o,
  input  logic                    bready_i,
  input  logic [ADDRESS_BITS-1:0] araddr_i,
  input  logic                    arvalid_i,
  output logic                    arready_o,
  output logic [31:0]             rdata_o,
  output logic                    rvalid_o,
  input  logic                    rready_i,
  output logic                    open_o,      // input beats may pass
  input  logic                    in_beat_i,   // an input beat passed
  input  logic                    out_beat_i,  // an output beat passed
  output logic                    out_last_o   // the present output beat ends an image
);

  localparam logic [ADDRESS_BITS-1:0] Ctrl = 'h00, Images = 'h10;
  localparam logic [31:0] SpellingRtl = 32'h0052544c;  // "RTL"
  localparam int InBits = counter_bits(BEATS_IN);
  localparam int OutBits = counter_bits(BEATS_OUT);

  logic [31:0] images_q, beats_in, beats_out, images_out, left;
  logic [63:0] cycle, cycles_q, first_out_q;
  logic busy_q, done_q, counting_q;
  logic write, start, start_q, some_q, clears;

  // A start takes effect one cycle after it was written.
  assign write     = awvalid_i && wvalid_i && !bvalid_o;
  assign awready_o = write;
  assign wready_o  = write;
  assign start     = write && awaddr_i == Ctrl && wdata_i[0] && !busy_q && some_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      bvalid_o <= 1'b0;
      images_q <= '0;
      start_q  <= 1'b0;
      some_q   <= 1'b0;
    end else begin
      if (write) bvalid_o <= 1'b1;
      else if (bready_i) bvalid_o <= 1'b0;
      if (write && awaddr_i == Images && !busy_q) images_q <= wdata_i;
      start_q <= start;
      some_q  <= images_q != 0;
    end
  end

  // The gate. Images that are still to come are counted up from their complement: none is left at all ones.
  logic [InBits-1:0] in_q;
  logic [OutBits-1:0] out_q;
  logic in_last_q, in_final_q, out_last_q, image_in, image_out;
  logic [31:0] to_come;
  assign image_in   = in_beat_i && in_last_q;
  assign image_out  = out_beat_i && out_last_q;
  assign out_last_o = out_last_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) open_o <= 1'b0;
    else if (start_q) open_o <= 1'b1;
    else if (image_in && in_final_q) open_o <= 1'b0;
  end
  always_ff @(posedge clk_i) begin
    if (start_q) begin
      in_q       <= '0;
      in_last_q  <= BEATS_IN == 1;
      out_q      <= '0;
      out_last_q <= BEATS_OUT == 1;
      in_final_q <= images_q == 1;
    end else begin
      if (in_beat_i) begin
        in_q      <= in_last_q ? '0 : in_q + 1'b1;
        in_last_q <= BEATS_IN == 1 || in_q == InBits'(BEATS_IN - 2);
      end
      if (out_beat_i) begin
        out_q      <= out_last_q ? '0 : out_q + 1'b1;
        out_last_q <= BEATS_OUT == 1 || out_q == OutBits'(BEATS_OUT - 2);
      end
      if (image_in) in_final_q <= to_come == 32'(-3);
    end
  end
  long_counter u_to_come (
    .clk_i, .load_i(start_q), .value_i(~images_q), .step_i(image_in), .count_o(to_come)
  );

  // Beats and ends of images one cycle late, or as late as those of the outputs.
  logic [IN_LATE:0] in_beats_q;
  logic in_beat, in_beat_q, out_beat_q, image_out_q, finished, out_final_q, none_out_q;
  assign in_beat_q = in_beats_q[IN_LATE];
  if (IN_LATE == 0) begin : g_now
    assign in_beat = in_beat_i;
  end else begin : g_late
    assign in_beat = in_beats_q[IN_LATE-1];
  end
  assign finished  = image_out_q && out_final_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      in_beats_q  <= '0;
      out_beat_q  <= 1'b0;
      image_out_q <= 1'b0;
    end else begin
      in_beats_q  <= (IN_LATE + 1)'({in_beats_q, in_beat_i});
      out_beat_q  <= out_beat_i && busy_q;
      image_out_q <= image_out && busy_q;
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q     <= 1'b0;
      done_q     <= 1'b0;
      counting_q <= 1'b0;
    end else if (start_q) begin
      busy_q     <= 1'b1;
      done_q     <= 1'b0;
      counting_q <= 1'b0;
    end else begin
      if (finished) busy_q <= 1'b0;
      if (finished) done_q <= 1'b1;
      else if (clears) done_q <= 1'b0;
      if (finished) counting_q <= 1'b0;
      else if (in_beat) counting_q <= 1'b1;
    end
  end
  always_ff @(posedge clk_i) begin
    if (start_q) begin
      out_final_q <= images_q == 1;
      none_out_q  <= 1'b1;
    end else if (image_out_q) begin
      out_final_q <= left == 32'(-3);
      none_out_q  <= 1'b0;
    end
    if (image_out_q) cycles_q <= cycle;
    if (image_out_q && none_out_q) first_out_q <= cycle;
  end
  long_counter u_left (
    .clk_i, .load_i(start_q), .value_i(~images_q), .step_i(image_out_q), .count_o(left)
  );
  long_counter u_beats_in (
    .clk_i, .load_i(start_q), .value_i(32'd0), .step_i(in_beat_q), .count_o(beats_in)
  );
  long_counter u_beats_out (
    .clk_i, .load_i(start_q), .value_i(32'd0), .step_i(out_beat_q), .count_o(beats_out)
  );
  long_counter #(
    .BITS(64)
  ) u_cycle (
    .clk_i, .load_i(start_q), .value_i(64'd0), .step_i(counting_q), .count_o(cycle)
  );
  long_counter u_images_out (
    .clk_i, .load_i(start_q), .value_i(32'd0), .step_i(image_out_q), .count_o(images_out)
  );

  // A read: the address, one register of four in each row, the row.
  logic [ADDRESS_BITS-1:0] address_q;
  logic reading_q, read;
  logic [1:0] read_q, kind_q;
  logic [31:0] first_q, beats_q, later_q;
  assign read      = arvalid_i && !reading_q;
  assign arready_o = read;
  assign clears    = read_q[0] && address_q == Ctrl;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      reading_q <= 1'b0;
      read_q    <= '0;
      rvalid_o  <= 1'b0;
    end else begin
      if (read) reading_q <= 1'b1;
      else if (rvalid_o && rready_i) reading_q <= 1'b0;
      read_q <= {read_q[0], read};
      if (read_q[1]) rvalid_o <= 1'b1;
      else if (rready_i) rvalid_o <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (read) address_q <= araddr_i;
    case (address_q[5:4])
      2'd0:    first_q <= {29'b0, !busy_q, done_q, 1'b0};
      2'd1:    first_q <= images_q;
      2'd2:    first_q <= DESIGN_HASH[31:0];
      default: first_q <= DESIGN_HASH[63:32];
    endcase
    case (address_q[3:2])
      2'd0:    beats_q <= cycles_q[31:0];
      2'd1:    beats_q <= first_out_q[31:0];
      2'd2:    beats_q <= beats_in;
      default: beats_q <= beats_out;
    endcase
    case (address_q[3:2])
      2'd0:    later_q <= images_out;
      2'd1:    later_q <= cycles_q[63:32];
      2'd2:    later_q <= first_out_q[63:32];
      default: later_q <= SpellingRtl;
    endcase
    if (address_q[1:0] != 0 || address_q[6:5] == 2'b11) kind_q <= 2'd3;
    else if (address_q[6]) kind_q <= {1'b1, address_q[4]} - 2'd1;
    else kind_q <= (address_q[3:2] == 0) ? 2'd0 : 2'd3;
    case (kind_q)
      2'd0:    rdata_o <= first_q;
      2'd1:    rdata_o <= beats_q;
      2'd2:    rdata_o <= later_q;
      default: rdata_o <= '0;
    endcase
  end

endmodule
