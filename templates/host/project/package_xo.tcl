# SPDX-License-Identifier: MIT-0
# Wrap the packaged IP, of either spelling, as a kernel for v++: build/accel.xo.
#
#   CODESIGN_SPELLING=rtl vivado -mode batch -source link/package_xo.tcl     after rtl/package_ip.tcl
#   CODESIGN_SPELLING=hls vivado -mode batch -source link/package_xo.tcl     after the HLS export
#
# The RTL spelling is user-managed: it has registers that a kernel managed by XRT does not have. The HLS spelling has the
# register CTRL, by which package_xo knows ap_ctrl_hs, and refuses user_managed. The host drives both by their registers.

set here [file normalize [file dirname [info script]]]
set root [file dirname $here]
source [file join $root settings.tcl]
source [file join $here spelling.tcl]
source [file join $here kernel.tcl]

if {[spelling] eq "rtl" && $accel(loads_weights)} {
  error "this accelerator loads its weights, which so far the PYNQ driver starts and XRT's does not; compile without\
    --weights for XRT"
}
set protocol [expr {[spelling] eq "rtl" ? "user_managed" : "ap_ctrl_hs"}]
set ip [ip_folder $root]
if {[spelling] eq "hls"} {
  # The export is an IP for the catalogue, and stays one; a copy becomes the kernel.
  set copy [file join $root build ip_hls_kernel]
  file delete -force $copy
  file copy $ip $copy
  set ip $copy
  set core [ipx::open_core [file join $ip component.xml]]
  kernel_properties $core $protocol
  ipx::update_checksums $core
  ipx::save_core $core
  ipx::unload_core $core
}
set xo [file join $root build accel.xo]
file delete -force $xo
package_xo -xo_path $xo -kernel_name accel -ip_directory $ip -ctrl_protocol $protocol
puts "codesign: wrote $xo"
